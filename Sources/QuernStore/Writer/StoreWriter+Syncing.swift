// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Syncs, at once or when an interval commit is due (S3), and says so in the log (F12).
extension StoreWriter {
    mutating func synchronize() throws(FileError) {
        try log.synchronize()
        deadlines.sync = nil
    }

    mutating func noteUnsynced(_ pending: [CommitQueue.Pending]) {
        for item in pending {
            guard case .interval(let duration) = item.durability else { continue }
            let due = MonotonicTime.now().advanced(by: duration)
            deadlines.sync = min(deadlines.sync ?? due, due)
        }
    }

    /// Also of a store that takes no more: what it acknowledged before is owed. A file whose sync failed says so again.
    mutating func synchronizeInBackground() {
        deadlines.sync = nil
        do throws(FileError) { try synchronize() } catch {
            poison(
                StoreError(
                    .indeterminate, "a sync failed: whether the last commits are on disk is unknown", file: error.path,
                    cause: error))
        }
    }

    /// Sets when the last batch gets a frame that vouches for it: once nothing was written for a while.
    mutating func noteUnvouched() {
        guard let delay = configuration.vouchDelay, poison == nil, log.isUnvouched else {
            deadlines.vouch = nil
            return
        }
        // Less and less often where it cannot be said: the disk may be full for days.
        let pause = log.failedVouches == 0 ? delay : max(delay, .milliseconds(20 << min(log.failedVouches, 10)))
        deadlines.vouch = MonotonicTime.now().advanced(by: pause)
    }

    mutating func vouch() {
        let (id, sequence) = shared.committed.withLock { ($0.state.nextID, $0.state.nextSequence) }
        do throws(FileError) { try log.vouch(firstID: id, firstSequence: sequence) } catch {
            let error = StoreError("cannot begin a log segment", error)
            if !error.isTransient { poison(error) }
        }
    }
}
