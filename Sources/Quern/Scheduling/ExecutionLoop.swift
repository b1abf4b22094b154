// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Runs the tasks of one pull, one after the other, in the worker's Swift task.
struct ExecutionLoop<Body: ExecutionBody>: Sendable {
    let body: Body
    let type: TaskType
    let retry: RetryPolicy

    /// A pull ends early when its outcomes have waited this long, or have become this many bytes.
    private static var longestWait: Int64 { 5 }
    private static var mostBytes: Int { 1 << 20 }

    func run(_ entry: ReadyRun, version: UInt32, claims: PullClaims, worker: Worker) async -> PullReport {
        var report = PullReport(events: worker.core.collectEvents(of: type))
        let works = PayloadBatch<Body.Work>(count: Int(entry.run.count))
        do { try works.read(entry, version: version, from: worker.core.store) } catch {
            // None of the tasks was claimed: all of them wait again.
            worker.core.readFailed(error)
            return report
        }
        let stopwatch = ContinuousClock()
        let began = stopwatch.now
        var now = worker.core.clock.now
        let first = now
        let limit = entry.isTimedByAttempt ? worker.core.attemptLimit(of: entry.run) : nil
        while let index = claims.claimNext() {
            let started = now
            if let limit { worker.core.began(entry, index, limit) }
            let size = await runOne(index, works, entry, claims, worker, started, &now, &report)
            report.tried += 1
            if now.rawValue.subtractingSaturating(first.rawValue) >= Self.longestWait || size >= Self.mostBytes {
                break
            }
        }
        report.elapsed = stopwatch.now - began
        return report
    }

    /// - Returns: roughly how large the transaction is now.
    @inline(__always)
    private func runOne(
        _ index: Int, _ works: PayloadBatch<Body.Work>, _ entry: ReadyRun, _ claims: PullClaims,
        _ worker: Worker, _ started: Timestamp, _ now: inout Timestamp, _ report: inout PullReport
    ) async -> Int {
        let id = entry.run.id(at: index)
        let bit: UInt64 = 1 << UInt64(index)
        if report.events != nil {
            worker.core.tellStart(id, parent: entry.run.parent, type, attempt: entry.attempts + 1, at: started)
        }
        let context = TaskContext(
            id: id, parent: entry.run.parent, attempt: entry.attempts + 1, startedAt: started,
            label: entry.run.label, isOrchestrator: Body.advances,
            ticket: worker.buffer.begin(mayRelieve: !Body.advances),
            buffer: worker.buffer, core: worker.core)
        var outcome = Transaction.Outcome(
            task: id, parent: entry.run.parent, label: entry.run.label, kind: .completed,
            attempts: entry.attempts + 1, startedAt: started, endedAt: started)
        do {
            let output = try await body.execute(try works.work(at: index), in: context)
            now = worker.core.clock.now
            if claims.isInterrupted, worker.core.isDoomed(id, parent: entry.run.parent) {
                worker.buffer.abandon()
                report.cancelled |= bit
                return 0
            }
            outcome.endedAt = now
            let size = try await complete(output, outcome, worker.buffer)
            if Body.advances { report.advanced |= bit } else { report.ended.completed += 1 }
            report.events?.add(Body.advances ? .waitsForChildren : .ended(.completed), outcome)
            return size
        } catch {
            now = worker.core.clock.now
            outcome.endedAt = now
            return failed(index, entry, outcome, error, claims, worker, &report)
        }
    }

    @inline(__always)
    private func complete(
        _ output: Body.Output, _ outcome: Transaction.Outcome, _ buffer: PullBuffer
    ) async throws -> Int {
        while true {
            if let size = try buffer.complete({ try body.record(output, of: outcome, in: &$0) }) { return size }
            try await buffer.finishStaging()
        }
    }

    /// A cold path: what becomes of a task whose handler threw.
    ///
    /// - Returns: roughly how large the transaction is now.
    @inline(never)
    private func failed(
        _ index: Int, _ entry: ReadyRun, _ outcome: Transaction.Outcome, _ error: any Error, _ claims: PullClaims,
        _ worker: Worker, _ report: inout PullReport
    ) -> Int {
        let bit: UInt64 = 1 << UInt64(index)
        let run = entry.run
        if claims.isInterrupted, worker.core.isDoomed(outcome.task, parent: outcome.parent) {
            worker.buffer.abandon()
            report.cancelled |= bit
        } else if Task.isCancelled || worker.core.isStop(error) {
            // Cut short by a stop, or on behalf of another task of the pull: as if it had not been started.
            worker.buffer.abandon()
            report.givenBack |= bit
        } else if let cause = worker.core.transientCause(of: error) {
            // Its outcome could not be kept either; what it spawned is more than belongs in memory until then.
            worker.giveBack(bit, since: cause, &report)
        } else {
            let retry = worker.core.retryPolicy(of: run, else: retry)
            let resolution = FailedAttempt(error, outcome: outcome, retry: retry)
            if Body.advances, resolution.isFinal, worker.core.hasEarlyChildren(outcome.task) {
                report.advanced |= bit
                return worker.buffer.abandon { resolution.recordBesideChildren(in: &$0) }
            }
            let remains: [UInt8]
            do { remains = resolution.isFinal ? try worker.core.remains(of: run, bit)[index] ?? [] : [] } catch {
                worker.giveBack(bit, since: error, &report)
                return 0
            }
            let size = worker.buffer.abandon {
                resolution.record(in: &$0, leaving: remains)
                if entry.isTimedByAttempt, entry.attempts == 0, !resolution.isFinal {
                    $0.keep(firstStart: outcome.startedAt, of: outcome.task)
                }
            }
            resolution.tell(index: index, &report)
            return size
        }
        return 0
    }
}

/// What follows from an error of a handler: another attempt, or the end of the task (T15).
struct FailedAttempt {
    private let outcome: Transaction.Outcome
    private let failure: FailureInfo
    private let decision: RetryPolicy.Decision

    init(_ error: any Error, outcome: Transaction.Outcome, retry: RetryPolicy) {
        self.outcome = outcome
        failure = FailureInfo(describing: error)
        decision = retry.decision(after: error, attempts: outcome.attempts, of: outcome.task)
    }

    private var notBefore: Timestamp? {
        if case .retry(let delay) = decision { outcome.endedAt.advanced(by: delay) } else { nil }
    }

    /// How the task ends when it is not tried again.
    private var kind: OutcomeKind { decision == .deadLetter ? .deadLettered : .failed }

    /// Whether it is not tried again.
    var isFinal: Bool { notBefore == nil }

    /// - Parameter remains: what the outcome is to leave, when it is one.
    func record(in transaction: inout Transaction, leaving remains: [UInt8]) {
        if let notBefore {
            var writer = ByteWriter()
            failure.encode(into: &writer)
            // The error is kept for who looks the task up.
            transaction.noteAttempt(outcome.task, attempts: outcome.attempts, notBefore: notBefore, error: [])
            transaction.keep(outcome.task, slot: TaskSlot.lastError, writer.bytes)
        } else {
            transaction.end(outcome, as: kind, failure: failure, leaving: remains)
        }
    }

    /// For the end of a task that has children: it ends after them, and meanwhile they are cancelled.
    func recordBesideChildren(in transaction: inout Transaction) {
        let execution = FailedExecution(kind: kind, attempts: outcome.attempts, failure: failure)
        transaction.advance(
            outcome.task, to: TaskPhase.failed, value: execution.encoded(startedAt: outcome.startedAt))
    }

    /// Adds to a report what becomes of the task.
    func tell(index: Int, _ report: inout PullReport) {
        if let notBefore {
            report.retries.append(
                PullReport.Retry(index: index, attempts: outcome.attempts, notBefore: notBefore))
            report.events?.add(.retrying(attempt: outcome.attempts, notBefore: notBefore), outcome)
        } else {
            report.ended[kind] += 1
            report.events?.add(.ended(kind), outcome)
        }
    }
}
