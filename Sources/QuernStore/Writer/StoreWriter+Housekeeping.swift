// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

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

    /// Notes why background work failed. Nothing has changed; it is tried again after a checkpoint, but for files that
    /// are damaged.
    private func note(_ error: StoreError) {
        guard error.code != .closed else { return }
        shared.housekeepingFailure.withLock { $0 = error }
        shared.note(damage: error)
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
        let shared = shared
        inBackground {
            Result { () throws(StoreError) in
                try shared.relocation(current: current, segmentBytes: segmentBytes)
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
            writer.commit(
                result.flatMap { found in
                    Result { () throws(StoreError) in try shared.withoutPinned(found) }
                })
        }
    }

    // MARK: Compaction

    private mutating func compact(everything: Bool) {
        if everything {
            compactionsRunning += compactionRequests
            compactionRequests = []
            // Without space the open segment is left out.
            if let error = usingReserve({ $0.sealIndex() }), error.code != .noSpace {
                if !error.isTransient { poison(error) }
                failRunningCompactions(error)
                return housekeeping.didFinish()
            }
        }
        let shared = shared
        let configuration = configuration
        inBackground {
            Result { () throws(StoreError) in
                shared.compaction(configuration, isRequested: everything)
            }
        } finish: { writer, result in
            switch result {
            case .success(let round):
                // A store that writes no more has no checkpoint that could name the new segments.
                if writer.poison == nil { writer.adopt(round, isRequested: everything) }
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
    private mutating func adopt(_ round: CompactionRound, isRequested: Bool) {
        for error in round.damage { note(error) }
        if let failure = round.failure { note(failure) }
        exchange(round)
        if isRequested {
            // Without space, what was done without is something.
            let isPartial = round.failure?.code == .noSpace && !round.results.isEmpty
            let error = (isPartial ? nil : round.failure) ?? shared.standingDamage
            let result = error.map { .failure($0) } ?? Result<CompactionReport, StoreError>.success(.init(round))
            compactionsDone += compactionsRunning.map { CompactionDone(result: result, completion: $0) }
            compactionsRunning = []
        }
        if !round.results.isEmpty || isRequested { requestCheckpoint() }
    }

    private mutating func exchange(_ round: CompactionRound) {
        shared.committed.withLock { committed in
            for result in round.results { committed.index.replace(result.inputs, by: result.outputs) }
            committed.state.dropped.settle(rows: round.reclaimedRows, gone: round.gone)
        }
        for result in round.results {
            let kept = Set(result.outputs.map(\.file.number))
            retired.append(contentsOf: result.inputs.map(\.file.number).filter { !kept.contains($0) })
        }
        if round.results.contains(where: \.isProgress) { housekeeping.didCompact() }
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
    /// What it did, or what it met.
    var result: Result<CompactionReport, StoreError>
    var completion: Completion
}

extension StoreShared {
    /// Chooses segments and rewrites them. Runs beside the writer.
    fileprivate func compaction(_ configuration: MemoStore.Configuration, isRequested: Bool) -> CompactionRound {
        let setAside = setAside
        let (contents, numbers) = committed.withLock { (IndexContents($0, setAside: setAside), $0.index.numbers) }
        let rate = isRequested ? nil : configuration.compactionBytesPerSecond
        let (files, throttle) = (files, throttle)
        var round = CompactionRound(contents, isRequested: isRequested) { (contents, plan) throws(StoreError) in
            var compaction = Compaction(
                files: files, contents: contents, plan: plan, configuration: configuration, throttle: throttle,
                budget: rate.map { IOBudget(bytesPerSecond: $0, now: .now()) }, numbers: numbers)
            return try compaction.run()
        }
        round.finish(segmentBytes: configuration.indexSegmentBytes)
        return round
    }

    /// Reads what live tasks need of old log segments. Runs beside the writer.
    fileprivate func relocation(current: UInt32, segmentBytes: Int) throws(StoreError) -> Transaction {
        let bodies = LogBodies(files: files, capacity: 0)
        let setAside = setAside
        while true {
            let state = committed.withLock { $0.state }
            let old = LogUse(state).plan(current: current, segmentBytes: segmentBytes)
                .filter { !setAside.contains(files.path(.log, UInt64($0))) }
            do throws(StoreError) { return try Relocation(of: old, in: state).transaction(reading: bodies) } catch {
                // A checkpoint removes what nobody needs any more, under way too: then less is to be moved.
                let needed = committed.withLock { LogUse($0.state) }.segments
                guard old.contains(where: { needed[$0] == nil }) else { throw error }
            }
        }
    }
}

extension Result where Failure == StoreError {
    /// What `body` returns or throws.
    fileprivate init(_ body: () throws(StoreError) -> Success) {
        do throws(StoreError) { self = .success(try body()) } catch { self = .failure(error) }
    }
}

extension StoreShared {
    /// Drops that were looked up, but for those that were pinned meanwhile: they keep nothing else from being dropped.
    /// What is pinned after this has them refused, and looked up again behind the next checkpoint.
    func withoutPinned(_ drops: Transaction) throws(StoreError) -> Transaction {
        // Most of the time nobody pinned anything, or nothing is to be dropped.
        guard let known = drops.dropPins, known != committed.withLock({ $0.state.pins.made }) else { return drops }
        let setAside = setAside
        let (pins, contents) = committed.withLock { ($0.state.pins, IndexContents($0, setAside: setAside)) }
        var drops = drops
        drops.leaveOut(pinned: try pins.allRoots(contents), pins.made)
        return drops
    }
}
