// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tasks that were in flight when the process died are under suspicion (T14).
extension Dispatcher {
    func isSuspect(_ pull: Pull) -> Bool {
        switch pull.work {
        case .execute(let entry): entry.crashes > 0
        case .finalize(let parent): parent.crashes > 0
        case .failParent, .cancel: false
        }
    }

    /// The first pulls after a start are noted on disk before they run: should the process die again early, the
    /// note says which tasks ran. Once there are suspects, only those are noted.
    mutating func isCareful(_ pull: Pull) -> Bool {
        guard carefulPulls > 0, !queues.hasSuspects, !queues.isUsed(limiters.suspects) else { return false }
        switch pull.work {
        case .execute, .finalize:
            carefulPulls -= 1
            return true
        case .failParent, .cancel: return false
        }
    }

    /// The handler of a task waits for children: its worker leaves its place to those. A suspect also leaves the one
    /// place that suspects have, since its children may be suspects.
    ///
    /// - Returns: whether the task is a suspect.
    mutating func park(_ task: TaskID) -> Bool {
        parked += 1
        let isSuspect = inFlight.values.contains { self.isSuspect($0.pull) && tasks(of: $0.pull).contains(task) }
        if isSuspect { queues.update(limiters.suspects, now: now) { $0.finish() } }
        return isSuspect
    }

    /// It goes on, beside who has taken its places meanwhile.
    mutating func unpark(isSuspect: Bool) {
        parked -= 1
        let now = now
        if isSuspect { queues.update(limiters.suspects, now: now) { $0.start(0, 0, at: now) } }
    }

    func tasks(of pull: Pull) -> [TaskID] {
        switch pull.work {
        case .execute(let entry): BitIndexes(entry.bits).map(entry.run.id(at:))
        case .finalize(let parent), .failParent(let parent): [parent.id]
        case .cancel: []
        }
    }

    /// What the note on disk should say.
    var inFlightNote: [TaskID] { inFlight.values.flatMap(\.noted).sorted() }

    /// How often each task was in flight when a process died, after the last one died.
    ///
    /// - Returns: the counts that changed.
    static func crashCounts(of live: LiveTasks) -> [TaskID: UInt8] {
        var counts: [TaskID: UInt8] = [:]
        for id in live.inFlight { counts[id] = (live.details[id]?.crashes ?? 0).addingSaturating(1) }
        return counts
    }
}

extension UInt8 {
    func addingSaturating(_ other: UInt8) -> UInt8 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
