// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Background work: it reads and writes files on a thread of its own, and hands its result to the writer, which alone
/// changes what counts.
extension StoreWriter {
    /// Begins what is due, unless something is under way.
    mutating func housekeep() {
        if let poison {
            failCompactions(StoreError(.poisoned, "an earlier write failed: \(poison.message)", file: poison.file))
        }
        while poison == nil, !schedule.isClosing, let work = housekeeping.next() {
            switch work {
            case .relocate: relocate()
            case .retain: retain()
            case .compact: compact(everything: false)
            case .compactEverything: compact(everything: true)
            }
        }
    }

    /// Runs `work` beside the writer and then `finish` on the writer.
    private mutating func inBackground<Value: Sendable>(
        _ work: @escaping @Sendable () -> Result<Value, StoreError>,
        finish: @escaping @Sendable (inout StoreWriter, Result<Value, StoreError>) -> Void
    ) {
        let shared = shared
        shared.queue.withLock {
            $0.beginBackground()
            return false
        }
        let end = { @Sendable (result: Result<Value, StoreError>) in
            shared.queue.withLock {
                $0.endBackground { writer in
                    finish(&writer, result)
                    writer.housekeeping.didFinish()
                }
                return true
            }
        }
        do throws(StoreError) { try configuration.startThread { end(work()) } } catch { end(.failure(error)) }
    }

    /// Notes why background work failed. Nothing has changed; without space, or a thread, it is tried again after a
    /// checkpoint.
    private mutating func note(_ error: StoreError) {
        guard error.code != .closed else { return }
        shared.housekeepingFailure.withLock { $0 = error }
        if error.code == .damaged { housekeeping.stop() }
    }

    /// Has everything compacted, and tells `completion` when that is done or failed.
    mutating func requestCompaction(_ completion: @escaping CompactionDone.Completion) {
        compactionRequests.append(completion)
        housekeeping.request()
    }

    // MARK: The log

    private mutating func relocate() {
        let current = log.segment
        // Most logs have no old segment.
        guard configuration.relocates, let oldest = segments.first,
            oldest < current - min(current, LogSpacePlan.youngSegments)
        else {
            return housekeeping.didFinish()
        }
        let segmentBytes = configuration.logSegmentBytes
        let state = shared.committed.withLock { $0.state }
        let bodies = LogBodies(files: shared.files, capacity: 0)
        inBackground {
            Result { () throws(StoreError) in
                let old = LogUse(state).plan(current: current, segmentBytes: segmentBytes)
                return try Relocation(of: old, in: state).transaction(reading: bodies)
            }
        } finish: { writer, result in
            writer.commit(result)
        }
    }

    /// Writes what background work found as a batch of its own.
    private mutating func commit(_ result: Result<Transaction, StoreError>) {
        switch result {
        case .success(let transaction):
            if !transaction.isEmpty {
                write([CommitQueue.Pending(transaction: transaction, durability: .buffered, completion: nil)])
            }
        case .failure(let error): note(error)
        }
    }

    // MARK: Retention

    private mutating func retain() {
        guard let retention = configuration.retention else { return housekeeping.didFinish() }
        let shared = shared
        inBackground {
            Result { () throws(StoreError) in
                try RetentionWalk.transaction(retention.policy, now: retention.now(), in: shared)
            }
        } finish: { writer, result in
            writer.commit(result)
        }
    }

    // MARK: Compaction

    private mutating func compact(everything: Bool) {
        if everything {
            compactionsRunning += compactionRequests
            compactionRequests = []
            if let error = sealIndex() {
                if !error.isTransient { poison(error) }
                failRunningCompactions(error)
                return housekeeping.didFinish()
            }
        }
        let shared = shared
        let configuration = configuration
        inBackground {
            Result { () throws(StoreError) in
                try shared.compaction(configuration, everything: everything)
            }
        } finish: { writer, result in
            // A store that writes no more has no checkpoint that could name the new segments.
            guard writer.poison == nil else { return }
            switch result {
            case .success(let done): writer.adopt(done, isRequested: everything)
            case .failure(let error):
                writer.note(error)
                if everything { writer.failRunningCompactions(error) }
            }
        }
    }

    /// Seals the index segment that is written to, so that a compaction can take it too.
    private mutating func sealIndex() -> StoreError? {
        shared.committed.withLock { $0.state.releaseWaiting() }
        if let error = flushIndex() { return error }
        // The writer alone changes the index, and readers are not held up while it writes.
        var index = shared.committed.withLock { $0.index }
        do throws(FileError) { try indexWriter.seal(&index) } catch {
            return StoreError("cannot seal an index segment", error)
        }
        shared.committed.withLock { $0.index = index }
        return nil
    }

    /// Lets new segments take the place of their inputs, for who asks from now on; a checkpoint makes that count.
    private mutating func adopt(_ result: Compaction.Result?, isRequested: Bool) {
        if isRequested {
            let report = result.map(CompactionReport.init) ?? CompactionReport()
            compactionsDone += compactionsRunning.map { CompactionDone(report: report, completion: $0) }
            compactionsRunning = []
        }
        if let result { exchange(result) }
        if result != nil || isRequested { requestCheckpoint() }
    }

    private mutating func exchange(_ result: Compaction.Result) {
        shared.committed.withLock { committed in
            committed.index.replace(result.inputs, by: result.outputs)
            committed.state.dropped.settle(rows: result.reclaimedRows, gone: result.gone)
        }
        let kept = Set(result.outputs.map(\.file.number))
        retired.append(contentsOf: result.inputs.map(\.file.number).filter { !kept.contains($0) })
        if result.isProgress { housekeeping.didCompact() }
    }

    /// Tells those who wait for a compaction that there is none.
    mutating func failCompactions(_ error: StoreError) {
        let waiting = compactionRequests + compactionsDone.map(\.completion)
        compactionRequests = []
        compactionsDone = []
        failRunningCompactions(error)
        for completion in waiting { completion(.failure(error)) }
    }

    private mutating func failRunningCompactions(_ error: StoreError) {
        let waiting = compactionsRunning
        compactionsRunning = []
        for completion in waiting { completion(.failure(error)) }
    }
}

/// A compaction that somebody waits for: it counts once a checkpoint is written.
struct CompactionDone: Sendable {
    typealias Completion = @Sendable (Result<CompactionReport, StoreError>) -> Void
    var report: CompactionReport
    var completion: Completion
}

extension StoreShared {
    /// Chooses segments and rewrites them; nil when there is nothing to gain. Runs beside the writer.
    fileprivate func compaction(
        _ configuration: MemoStore.Configuration, everything: Bool
    ) throws(StoreError) -> Compaction.Result? {
        let (contents, numbers) = committed.withLock { (IndexContents($0), $0.index.numbers) }
        let segments = try contents.segments()
        guard let plan = everything ? CompactionPlan.everything(segments) : CompactionPlan.next(segments) else {
            return nil
        }
        let rate = everything ? nil : configuration.compactionBytesPerSecond
        var compaction = Compaction(
            files: files, contents: contents, plan: plan, configuration: configuration, throttle: throttle,
            budget: rate.map { IOBudget(bytesPerSecond: $0, now: .now()) },
            numbers: numbers)
        return try compaction.run()
    }
}

extension Result where Failure == StoreError {
    /// What `body` returns or throws.
    fileprivate init(_ body: () throws(StoreError) -> Success) {
        do throws(StoreError) { self = .success(try body()) } catch { self = .failure(error) }
    }
}
