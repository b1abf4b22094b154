// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Dispatcher {
    /// Tasks got another priority than they were spawned with (T16).
    ///
    /// - Complexity: one pass over the queues, whatever the number of tasks.
    mutating func prioritized(_ new: [TaskID: UInt8]) {
        if new.isEmpty { return }
        priorities.merge(new) { $1 }
        let mask = SweepMask(new.keys)
        var removed: [ReadyRun] = []
        queues.remove(now: now, { mask.ownBits(of: $0.run) & $0.bits }, { removed.append($0) })
        for entry in removed {
            // A parent that waits for a worker is to be finalized.
            enqueue(entry, finalizes: waiting[entry.run.id(at: entry.bits.trailingZeroBitCount)] != nil)
        }
        for worker in inFlight.keys.sorted() {
            guard case .execute(let entry) = inFlight[worker]?.pull.work else { continue }
            takeBack(mask.ownBits(of: entry.run) & entry.bits, from: worker)
        }
    }
}
