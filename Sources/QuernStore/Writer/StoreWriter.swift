// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// Writes what gathered as one batch, syncs once, applies it, tells everyone (S2).
///
/// There is one, and who has it may write: mostly its thread, and a blocking caller that comes alone.
struct StoreWriter: Sendable {
    let shared: StoreShared
    let configuration: MemoStore.Configuration
    let lock: any FileLock
    var log: LogWriter
    let manifest: ManifestFile
    /// Log segments that are there.
    var segments: [UInt32]
    /// Set when a write or a sync failed for good (S4).
    var poison: StoreError?
    private var batch = Batch()
    var indexWriter: IndexWriter
    var housekeeping: Housekeeping
    /// Who waits for a compaction of everything: for one to begin, since it must take what is there now, and for the
    /// one that runs.
    var compactionRequests: [CompactionDone.Completion] = []
    var compactionsRunning: [CompactionDone.Completion] = []
    /// Compactions that are done and not yet in a checkpoint, and those that are in the one being written.
    var compactionsDone: [CompactionDone] = []
    var compactionsInCheckpoint: [CompactionDone] = []
    /// Index segments that were replaced and go with the next checkpoint.
    var retired: [UInt32] = []
    var reserve: SpaceReserve
    /// The last batch found no space: drops are not put together with what will find none either.
    private var isOutOfSpace = false
    var deadlines = WriterDeadlines()
    var schedule: CheckpointSchedule

    init(shared: StoreShared, configuration: MemoStore.Configuration, lock: any FileLock, recovered: Recovery.Result) {
        self.shared = shared
        self.configuration = configuration
        self.lock = lock
        log = recovered.log
        indexWriter = IndexWriter(files: recovered.files, configuration: configuration)
        housekeeping = Housekeeping(
            retains: configuration.retention != nil, compacts: configuration.compactionBytesPerSecond != nil)
        manifest = recovered.manifest
        reserve = recovered.reserve
        segments = recovered.segments
        // One that was damaged is made anew as soon as there is something to write.
        let isDue = recovered.report.checkpointDamage != nil
        schedule = CheckpointSchedule(
            interval: UInt64(clamping: configuration.checkpointBytes),
            replayed: isDue ? .max : UInt64(recovered.report.replayedBytes))
        noteUnvouched()
    }

    /// The life of the writer's thread: it works off the queue, and leaves the writer there while it sleeps.
    static func run(_ shared: StoreShared) {
        var writer: StoreWriter?
        while writer?.schedule.state != .closed {
            let work = shared.queue.wait { queue, deadline in queue.next(for: &writer, deadline: &deadline) }
            writer?.perform(work)
        }
    }

    mutating func perform(_ work: CommitQueue.Work) {
        switch work {
        case .write(let pending):
            write(pending)
            checkpointIfDue()
            housekeep()
        case .run(let job):
            job(&self)
            housekeep()
        case .synchronize:
            synchronizeInBackground()
        case .checkpointed(let result):
            adopt(result)
            housekeep()
        case .vouch:
            vouch()
        case .close:
            beginClosing()
        }
        noteUnvouched()
    }

    // MARK: Writing

    /// Writes what the queue gathered as one batch; while there is no space, drops apart from what finds none either.
    mutating func write(_ pending: [CommitQueue.Pending]) {
        guard isOutOfSpace else { return writeBatch(pending) }
        var start = 0
        while start < pending.count {
            let frees = pending[start].transaction.freesSpace
            let end = pending[start...].firstIndex { $0.transaction.freesSpace != frees } ?? pending.count
            writeBatch(Array(pending[start..<end]))
            start = end
        }
    }

    private mutating func writeBatch(_ pending: [CommitQueue.Pending]) {
        if let poison {
            return fail(
                pending, StoreError(.poisoned, "an earlier write failed: \(poison.message)", file: poison.file))
        }
        let frees = pending.allSatisfy(\.transaction.freesSpace)
        if let blocked = prepare(frees: frees) {
            if !blocked.isTransient { poison(blocked) }
            isOutOfSpace = blocked.code == .noSpace
            return fail(pending, blocked)
        }

        var receipts: [Result<Batch.Receipt, StoreError>] = []
        receipts.reserveCapacity(pending.count)
        let (firstID, firstSequence) = shared.committed.withLock { committed in
            batch.begin(committed.state)
            // In place: a copy of a transaction is a handful of reference counts.
            pending.withUnsafeBufferPointer { pending in
                for index in pending.indices {
                    do throws(StoreError) {
                        receipts.append(.success(try batch.add(pending[index].transaction, to: &committed.state)))
                    } catch { receipts.append(.failure(error)) }
                }
            }
            return (committed.state.nextID, committed.state.nextSequence)
        }
        var failure = batch.isEmpty ? nil : persist(pending, firstID: firstID, firstSequence: firstSequence)
        if failure?.code == .noSpace, frees, reserve.release() {
            failure = persist(pending, firstID: firstID, firstSequence: firstSequence)
        }
        isOutOfSpace = failure?.code == .noSpace
        if failure != nil {
            forgetAborted(pending)
            reconsider(pending, &receipts)
        }
        var wakeups = CommitWakeups()
        for (index, receipt) in receipts.enumerated() {
            guard let completion = pending[index].completion else { continue }
            // What was rejected by itself is told so, whatever became of the rest of the batch.
            wakeups.add(completion, receipt.flatMap { failure.map { .failure($0) } ?? .success(batch.commit($0)) })
        }
        wakeups.send()
        // What a large one took must not stay until the next one begins.
        batch = Batch()
    }

    /// The batch was not written, so that nothing in it can be why something else was rejected: a task that did not
    /// end, or a key that nobody has.
    private mutating func reconsider(
        _ pending: [CommitQueue.Pending], _ receipts: inout [Result<Batch.Receipt, StoreError>]
    ) {
        shared.committed.withLock { committed in
            for index in pending.indices {
                guard case .failure = receipts[index] else { continue }
                batch.begin(committed.state)
                do throws(StoreError) {
                    receipts[index] = .success(try batch.add(pending[index].transaction, to: &committed.state))
                } catch { receipts[index] = .failure(error) }
                batch.undo(in: &committed.state)
            }
        }
    }

    /// Writes, syncs and applies the batch. Returns why nothing of it counts.
    private mutating func persist(
        _ pending: [CommitQueue.Pending], firstID: UInt64, firstSequence: UInt64
    ) -> StoreError? {
        let written: [LogWriter.Written]
        do throws(FileError) {
            written = try log.append(&batch, firstID: firstID, firstSequence: firstSequence)
        } catch {
            let error = StoreError("cannot append to the log", error)
            undo()
            if !error.isTransient { poison(error) }
            return error
        }
        let needsSync = pending.contains { $0.durability == .synced }
        do throws(FileError) {
            if needsSync { try synchronize() } else { noteUnsynced(pending) }
            // Whoever could take the lock since may not have read this batch (S1).
            try lock.check()
        } catch {
            undo()
            let error = Self.inDoubt(error)
            poison(error)
            return error
        }
        apply(written)
        return nil
    }

    /// What it means that a batch was written, and then could not be synced or the lock not be looked at.
    private static func inDoubt(_ error: FileError) -> StoreError {
        let reason =
            if error.isLockLost {
                FileError.lockLost
            } else if error.isLockUnknown { "the lock could not be looked at" } else { "a sync failed" }
        return StoreError(
            error.isLockLost ? .lockLost : .indeterminate, "\(reason): whether this batch counts is unknown",
            file: error.path, cause: error)
    }

    private mutating func undo() {
        shared.committed.withLock { batch.undo(in: &$0.state) }
    }

    /// A stage that is aborted goes, also when the log has no room to say so: nobody can commit it any more, and the
    /// segments that it holds may be what fills the disk.
    private func forgetAborted(_ pending: [CommitQueue.Pending]) {
        shared.committed.withLock { committed in
            for item in pending {
                for case .abortStage(let stage) in item.transaction.notes { committed.state.stages[stage] = nil }
            }
        }
    }

    private mutating func apply(_ written: [LogWriter.Written]) {
        let segment = log.segment
        let changes = shared.committed.withLock { committed -> CommitChanges in
            // Moved there and back: a copy of many would be made with the first that ends.
            var collector = ChangeCollector(watched: committed.watched)
            committed.watched = []
            let droppedBefore = committed.state.dropped.count
            for frame in written {
                let result = frame.body.withUnsafeBytes { body -> DecodingFailure? in
                    do throws(DecodingFailure) {
                        try committed.state.apply(
                            body, segment: segment, frameOffset: frame.offset, changes: &collector)
                        return nil
                    } catch { return error }
                }
                // What was checked before it was encoded applies; anything else is a bug that must not be built upon.
                precondition(result == nil, "a batch does not apply: \(result?.reason ?? "")")
            }
            committed.watched = collector.watched
            committed.state.finishBatch(openLimit: configuration.openBlockBytes)
            if committed.state.dropped.count > droppedBefore { housekeeping.didDrop() }
            return collector.changes(in: committed.state)
        }
        if !changes.spawned.isEmpty || !changes.touched.isEmpty {
            for frame in written {
                shared.bodies.insert(frame.body, at: .init(segment: segment, offset: frame.offset))
            }
        }
        if let error = flushIndex(), !error.isTransient { poison(error) }
        shared.currentObserver?.storeDidCommit(changes)
    }

    private func fail(_ pending: [CommitQueue.Pending], _ error: StoreError) {
        forgetAborted(pending)
        for item in pending { item.completion?(.failure(error)) }
    }

    mutating func poison(_ error: StoreError) {
        guard poison == nil else { return }
        poison = error
        shared.currentObserver?.storeDidFail(error)
    }
}
