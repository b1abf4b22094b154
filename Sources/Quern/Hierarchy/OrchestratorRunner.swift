// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Runs the tasks of an ``OrchestratorHandler``: `execute`, and once all children have ended, `finalize`.
struct OrchestratorRunner<Handler: OrchestratorHandler>: TaskRunner {
    let facts: TypeFacts
    let version: UInt32
    let loop: ExecutionLoop<OrchestratorBody<Handler>>
    let hook: CancelHook<Handler.Work>?

    init(_ terms: RunnerTerms, _ handler: Handler, _ hook: CancelHook<Handler.Work>?) {
        facts = terms.facts
        version = terms.version
        loop = ExecutionLoop(body: OrchestratorBody(handler: handler), type: Handler.Work.type, retry: terms.retry)
        self.hook = hook
    }

    var type: TaskType { Handler.Work.type }
    private var handler: Handler { loop.body.handler }

    func execute(_ entry: ReadyRun, claims: PullClaims, worker: Worker) async -> PullReport {
        if let ended = worker.core.redriven(by: entry.run) {
            let loop = ExecutionLoop(body: RedriveBody<Handler.Work>(ended: ended), type: type, retry: loop.retry)
            return await loop.run(entry, version: version, claims: claims, worker: worker)
        }
        return await loop.run(entry, version: version, claims: claims, worker: worker)
    }

    /// Everything it starts from is durable: payload, hand-over and children. So it can be repeated (T4).
    func finalize(_ parent: WaitingParent, claims: PullClaims, worker: Worker) async -> PullReport {
        var report = PullReport(events: worker.core.collectEvents(of: type))
        guard claims.claimNext() != nil else { return report }
        let core = worker.core
        let works = PayloadBatch<Handler.Work>(count: Int(parent.run.count))
        let sealed: [UInt8]
        let children: ChildSnapshot
        do {
            try works.read(ReadyRun(run: parent.run, bits: parent.bit), version: version, from: core.store)
            sealed = try core.store.handover(of: parent.id)
            children = try core.store.children(of: parent.id)
        } catch {
            worker.giveBack(parent.bit, since: error, &report)
            return report
        }
        var outcome = parent.outcome(startedAt: SealedHandover.startedAt(sealed), endedAt: core.clock.now)
        do {
            let context = FinalizeContext(
                id: parent.id, parent: parent.run.parent, attempt: parent.attempts + 1, label: parent.run.label,
                children: try core.withEarlier(children, of: parent),
                ticket: worker.buffer.begin(mayRelieve: false), buffer: worker.buffer, core: core)
            let handover = try SealedHandover.decode(Handler.Handover.self, from: sealed)
            let memo = try await handler.finalize(try works.work(at: parent.index), handover: handover, in: context)
            outcome.endedAt = core.clock.now
            if claims.isInterrupted, core.isDoomed(parent.id, parent: parent.run.parent) {
                worker.buffer.abandon()
                report.cancelled = parent.bit
                return report
            }
            // So that the children that failed can be run again all the same.
            let hasFailures = parent.run.parent == .none && children.counts.failures > 0
            let remains: [UInt8]
            do { remains = hasFailures ? try core.remains(of: parent) : [] } catch {
                worker.giveBack(parent.bit, since: error, &report)
                return report
            }
            try worker.buffer.complete { try $0.end(outcome, memo: memo, leaving: remains) }
            report.ended.completed = 1
            report.events?.add(.ended(.completed), outcome)
        } catch {
            outcome.endedAt = core.clock.now
            failed(error, parent, outcome, claims, worker, &report)
        }
        return report
    }

    private func failed(
        _ error: any Error, _ parent: WaitingParent, _ outcome: Transaction.Outcome, _ claims: PullClaims,
        _ worker: Worker, _ report: inout PullReport
    ) {
        if claims.isInterrupted, worker.core.isDoomed(parent.id, parent: parent.run.parent) {
            worker.buffer.abandon()
            report.cancelled = parent.bit
        } else if Task.isCancelled || worker.core.isStop(error) {
            worker.buffer.abandon()
            report.givenBack = parent.bit
        } else if let cause = worker.core.transientCause(of: error) {
            worker.giveBack(parent.bit, since: cause, &report)
        } else {
            let retry = worker.core.retryPolicy(of: parent.run, else: loop.retry)
            let resolution = FailedAttempt(error, outcome: outcome, retry: retry)
            do {
                let remains = resolution.isFinal ? try worker.core.remains(of: parent) : []
                worker.buffer.abandon { resolution.record(in: &$0, leaving: remains) }
                resolution.tell(index: parent.index, &report)
            } catch { worker.giveBack(parent.bit, since: error, &report) }
        }
    }

    func runCancelHooks(_ entry: ReadyRun, core: SchedulerCore) async throws(StoreError) {
        try await hook?.run(entry, version: version, place: facts.place, core: core)
    }
}
