// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// Checkpoints, what they make needless, and the end.
extension StoreWriter {
    mutating func checkpointIfDue() {
        guard poison == nil, log.appendedBytes >= nextCheckpointAt else { return }
        nextCheckpointAt = log.appendedBytes + UInt64(configuration.checkpointBytes)
        do throws(StoreError) { try checkpoint(isClean: false) } catch {
            // Without space the log just grows longer; the next try comes with the next interval.
            if error.code != .noSpace { poison(error) }
        }
    }

    mutating func checkpoint(isClean: Bool) throws(StoreError) {
        do throws(FileError) {
            try synchronize()
            let committed = shared.committed.withLock { $0 }
            // Blocks that found no space are in no file: what they hold must stay in the log's tail.
            guard committed.state.fullBlocks.isEmpty else { return }
            try committed.index.synchronize()
            var state = committed.state
            if isClean { state.inFlight = [] }
            manifest = try CheckpointWriter(files: shared.files).write(
                state: state, index: committed.index, position: log.position, after: manifest, isClean: isClean)
            removeObsolete(neededBy: state)
            housekeeping.didCheckpoint()
        } catch { throw StoreError("cannot write a checkpoint", error) }
    }

    /// Removes what the new checkpoint made needless. What cannot be removed now is removed later.
    mutating func removeObsolete(neededBy state: borrowing StoreState) {
        let files = shared.files
        try? files.fileSystem.remove(files.path(.checkpoint, manifest.checkpointNumber - 1))
        retired.removeAll { number in
            do throws(FileError) { try files.fileSystem.remove(files.path(.index, UInt64(number))) } catch {
                return error.errno == .noSuchFileOrDirectory
            }
            return true
        }
        let needed = LogUse(state).segments
        let newest = segments.last ?? 0
        if newest < log.segment { segments.append(contentsOf: (newest + 1)...log.segment) }
        let current = log.segment
        var kept: [UInt32] = []
        for number in segments {
            if number < current, needed[number] == nil, remove(segment: number) { continue }
            kept.append(number)
        }
        segments = kept
    }

    /// False when the file could not be removed.
    func remove(segment number: UInt32) -> Bool {
        do throws(FileError) { try shared.files.fileSystem.remove(shared.files.path(.log, UInt64(number))) } catch {
            return error.errno == .noSuchFileOrDirectory
        }
        shared.bodies.forget(segment: number)
        return true
    }

    // MARK: The end

    mutating func close() {
        for request in compactionRequests { request(.failure(StoreError(.closed, "the store is closed"))) }
        var result: StoreError? = poison
        if poison == nil {
            do throws(StoreError) {
                if let blocked = flushIndex() { throw blocked }
                try checkpoint(isClean: true)
            } catch { result = error }
        }
        lock.release()
        let error = result
        shared.queue.withLockWakingAll { queue in
            for closer in queue.didClose(error) { closer(error) }
        }
    }
}
