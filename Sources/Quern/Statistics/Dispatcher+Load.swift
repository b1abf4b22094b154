// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Dispatcher {
    /// Tasks of one type that wait for a worker, and that workers have.
    struct Load: Sendable, Equatable {
        var queued = 0
        var processing = 0
    }

    /// That of each type, by the raw value of its label.
    ///
    /// - Complexity: O(types and groups with tasks waiting, workers).
    var load: [Load] {
        var load = [Load](repeating: Load(), count: facts.count)
        func add(_ label: Label, queued: Int = 0, processing: Int = 0) {
            let index = Int(label.rawValue)
            guard index < load.count else { return }
            load[index].queued += queued
            load[index].processing += processing
        }
        queues.forEachFlow { add($0.label, queued: $1) }
        for flight in inFlight.values {
            switch flight.pull.work {
            case .execute(let entry):
                let unstarted = flight.pull.claims.remaining.nonzeroBitCount
                add(entry.run.label, queued: unstarted, processing: entry.count - unstarted)
            case .finalize(let parent), .failParent(let parent): add(parent.run.label, processing: 1)
            case .cancel: break
            }
        }
        return load
    }
}
