// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// Checkpoints, beside the writer thread, and the end.
extension StoreWriter {
    mutating func checkpointIfDue() { carryOut(schedule.handle(.logGrew(to: log.appendedBytes))) }

    /// Takes over what a checkpoint that ended has changed.
    mutating func adopt(_ result: Result<CheckpointJob.Outcome, StoreError>) {
        // A checkpoint lets more go than it takes.
        if case .failure(let error) = result, error.code == .noSpace, reserve.release() {
            compactionsDone = compactionsInCheckpoint + compactionsDone
            compactionsInCheckpoint = []
            requestCheckpoint()
            return carryOut(schedule.handle(.finished(bytes: nil)))
        }
        let waiting = compactionsInCheckpoint
        compactionsInCheckpoint = []
        for done in waiting { done.completion(result.flatMap { _ in done.result }) }
        switch result {
        case .success(let outcome):
            segments.removeAll(where: outcome.removed.contains)
            retired.removeAll(where: outcome.removedIndex.contains)
            reserve.hold()
            housekeeping.didCheckpoint()
            carryOut(schedule.handle(.finished(bytes: outcome.bytes)))
        case .failure(let error):
            // Without space, or a thread, the log just grows longer; the next try comes with the next interval.
            if !error.isTransient { poison(error) }
            carryOut(schedule.handle(.finished(bytes: nil)))
        }
    }

    /// Has a checkpoint written that holds the state as it is now, as soon as there is time for one.
    mutating func requestCheckpoint() { carryOut(schedule.handle(.requested)) }

    mutating func beginClosing() { carryOut(schedule.handle(.close)) }

    private mutating func carryOut(_ action: CheckpointSchedule.Action) {
        switch action {
        case .nothing: break
        case .begin:
            let blocked = usingReserve { $0.flushIndex() }
            guard poison == nil, let job = makeCheckpoint(isClean: false) else {
                failCompactions(
                    poison ?? blocked
                        ?? StoreError(.noSpace, "index blocks wait for space, and so does a checkpoint"))
                return carryOut(schedule.handle(.finished(bytes: nil)))
            }
            compactionsInCheckpoint += compactionsDone
            compactionsDone = []
            let queue = shared.queue
            do throws(StoreError) {
                try configuration.startThread {
                    let result = job.run()
                    queue.withLock {
                        $0.checkpointEnded(result)
                        return true
                    }
                }
            } catch { adopt(.failure(error)) }
        case .finish: finish()
        }
    }

    /// A checkpoint of the state as it is now. The copy is O(1), and what the writer changes from now on is copied
    /// piece by piece.
    private mutating func makeCheckpoint(isClean: Bool) -> CheckpointJob? {
        var committed = shared.committed.withLock { $0 }
        committed.watched = []
        // Blocks that found no space are in no file: what they hold must stay in the log's tail.
        guard committed.state.fullBlocks.isEmpty else { return nil }
        if isClean { committed.state.inFlight = [] }
        let newest = segments.last ?? 0
        if newest < log.segment { segments.append(contentsOf: (newest + 1)...log.segment) }
        return CheckpointJob(
            files: shared.files, bodies: shared.bodies, committed: committed, position: log.position,
            unsyncedLog: log.unsyncedFile, manifest: manifest, isClean: isClean, segments: segments,
            retired: retired, syncsReserve: reserve.takeUnsynced())
    }

    // MARK: The end

    private mutating func finish() {
        failCompactions(StoreError(.closed, "the store is closed"))
        // What was acknowledged is on disk, whatever becomes of the checkpoint.
        if log.unsyncedFile != nil { synchronizeInBackground() }
        var result = poison
        if result == nil {
            result = usingReserve { writer in
                if let error = writer.flushIndex() { return error }
                guard let job = writer.makeCheckpoint(isClean: true), case .failure(let error) = job.run() else {
                    return nil
                }
                return error
            }
        }
        shared.committed.withLock { $0.index.open?.hold?.release() }
        lock.release()
        let error = result
        shared.queue.withLockWakingAll { queue in
            for closer in queue.didClose(error) { closer(error) }
        }
    }
}
