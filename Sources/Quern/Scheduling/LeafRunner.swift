// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Runs the tasks of a ``TaskHandler``.
struct LeafRunner<Handler: TaskHandler>: TaskRunner {
    let facts: TypeFacts
    let version: UInt32
    let loop: ExecutionLoop<LeafBody<Handler>>
    let hook: CancelHook<Handler.Work>?

    init(_ terms: RunnerTerms, _ handler: Handler, _ hook: CancelHook<Handler.Work>?) {
        facts = terms.facts
        version = terms.version
        loop = ExecutionLoop(body: LeafBody(handler: handler), type: Handler.Work.type, retry: terms.retry)
        self.hook = hook
    }

    var type: TaskType { Handler.Work.type }

    func execute(_ entry: ReadyRun, claims: PullClaims, worker: Worker) async -> PullReport {
        await loop.run(entry, version: version, claims: claims, worker: worker)
    }

    /// Never called: tasks of this handler have no children to wait for, unless its type was an orchestrator's
    /// when the store was written.
    func finalize(_ parent: WaitingParent, claims: PullClaims, worker: Worker) async -> PullReport {
        var report = PullReport(events: worker.core.collectEvents(of: type))
        guard claims.claimNext() != nil else { return report }
        let now = worker.core.clock.now
        let failure = FailureInfo(reason: "no finalize", detail: "the handler of \(type) has no finalize any more")
        do {
            let remains = try worker.core.remains(of: parent)
            worker.buffer.abandon {
                $0.end(parent.outcome(endedAt: now), as: .failed, failure: failure, leaving: remains)
            }
        } catch {
            worker.giveBack(parent.bit, since: error, &report)
            return report
        }
        report.ended.failed = 1
        report.events?.add(.ended(.failed), parent.outcome(endedAt: now))
        return report
    }

    func runCancelHooks(_ entry: ReadyRun, core: SchedulerCore) async throws(StoreError) {
        try await hook?.run(entry, version: version, place: facts.place, core: core)
    }
}

extension WaitingParent {
    /// The facts of its outcome; the kind is to be set.
    func outcome(startedAt: Timestamp? = nil, endedAt: Timestamp) -> Transaction.Outcome {
        Transaction.Outcome(
            task: id, parent: run.parent, label: run.label, kind: .completed, attempts: attempts + 1,
            startedAt: startedAt, endedAt: endedAt)
    }
}
