// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernStore

extension Dispatcher {
    /// The states of live tasks; what is not told of is ready.
    ///
    /// - Parameter parents: the parent of each task that is asked for.
    /// - Complexity: O((delayed + held + workers) x log asked), and nothing for each task that is ready.
    func states(of parents: [TaskID: TaskID]) -> [TaskID: TaskInfo.State] {
        var states: [TaskID: TaskInfo.State] = [:]
        let mask = SweepMask(parents.keys)
        func note(_ state: TaskInfo.State, _ entry: ReadyRun, bits: UInt64 = .max) {
            for index in BitIndexes(mask.ownBits(of: entry.run) & entry.bits & bits) {
                states[entry.run.id(at: index)] = state
            }
        }
        for id in parents.keys where early[id]?.cancelled != nil { states[id] = .cancelling }
        for id in parents.keys {
            guard let parent = waiting[id] else { continue }
            if facts(of: parent.run.label) == nil {
                states[id] = .held
            } else if parent.state == .waiting {
                states[id] = .waitingForChildren
            }
        }
        for entry in held { note(.held, entry) }
        for waiting in dependencies.all { note(.blocked, waiting.tasks) }
        for entry in delayed.unordered {
            switch entry.item {
            case .tasks(let tasks): note(.delayed(until: entry.due), tasks)
            case .finalize(let id): if parents[id] != nil { states[id] = .delayed(until: entry.due) }
            }
        }
        for flight in inFlight.values {
            switch flight.pull.work {
            case .execute(let entry): note(.running, entry, bits: ~flight.pull.claims.remaining)
            case .finalize(let parent), .failParent(let parent):
                if parents[parent.id] != nil { states[parent.id] = .running }
            case .cancel(let entries): for entry in entries { note(.cancelling, entry) }
            }
        }
        for (id, parent) in parents where isDoomed(id, parent: parent) { states[id] = .cancelling }
        return states
    }
}
