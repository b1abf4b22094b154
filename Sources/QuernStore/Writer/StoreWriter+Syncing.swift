// SPDX-License-Identifier: Apache-2.0

/// Syncs, at once or when an interval commit is due (S3).
extension StoreWriter {
    mutating func synchronize() throws(FileError) {
        try log.synchronize()
        syncDue = nil
    }

    mutating func noteUnsynced(_ pending: ArraySlice<CommitQueue.Pending>) {
        for item in pending {
            guard case .interval(let duration) = item.durability else { continue }
            let due = MonotonicTime.now().advanced(by: duration)
            syncDue = min(syncDue ?? due, due)
        }
    }

    mutating func synchronizeInBackground() {
        syncDue = nil
        guard poison == nil else { return }
        do throws(FileError) { try synchronize() } catch {
            poison(
                StoreError(
                    .indeterminate, "a sync failed: whether the last commits are on disk is unknown", file: error.path,
                    cause: error))
        }
    }
}
