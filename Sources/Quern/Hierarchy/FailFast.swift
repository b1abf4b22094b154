// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The end of a parent whose `finalize` does not run: one that children failed for fails with the first failure of a
/// child (T8), one whose `execute` failed beside its children with that.
struct FailFast {
    let parent: WaitingParent
    let core: SchedulerCore

    /// Blocking: looks for the first failure among the children.
    func run(in buffer: PullBuffer) -> PullReport {
        var report = PullReport(events: core.collectEvents(of: core.types.type(of: parent.run.label)))
        do {
            let sealed = try core.store.handover(of: parent.id)
            var outcome = parent.outcome(startedAt: SealedHandover.startedAt(sealed), endedAt: core.clock.now)
            var kind = OutcomeKind.failed
            let failure: FailureInfo
            if core.store.status(of: parent.id)?.phase == TaskPhase.failed,
                let execution = FailedExecution(decoding: sealed)
            {
                (kind, failure) = (execution.kind, execution.failure)
                outcome.attempts = execution.attempts
            } else {
                failure = try describeFailures()
            }
            let remains = core.remains(of: parent, stoppedChildren: true)
            buffer.abandon { [outcome, kind, failure] in
                $0.end(outcome, as: kind, failure: failure, leaving: remains)
            }
            report.ended[kind] = 1
            report.events?.add(.ended(kind), outcome)
        } catch {
            core.storeFailed(error)
            report.givenBack = parent.bit
        }
        return report
    }

    private func describeFailures() throws(StoreError) -> FailureInfo {
        guard case .within? = core.types.runner(of: parent.run.label)?.facts.policy else {
            return try Self.firstFailure(below: parent.id, parent.firstFailure, core.store)
        }
        let children = try core.store.children(of: parent.id)
        let first = try Self.describeFirstFailure(of: children, parent.firstFailure, core.store)
        let counts = "\(children.counts.failures) of \(children.counts.total) children failed, the first of them"
        return FailureInfo(reason: "failure budget exceeded", detail: "\(counts) \(first)")
    }

    /// Why a fail-fast parent fails: its first child that failed, when that is known. Blocking.
    static func firstFailure(
        below parent: TaskID, _ child: TaskID, _ store: MemoStore
    ) throws(StoreError) -> FailureInfo {
        let first = try describeFirstFailure(of: try store.children(of: parent), child, store)
        return FailureInfo(reason: "child failed", detail: first)
    }

    private static func describeFirstFailure(
        of children: ChildSnapshot, _ child: TaskID, _ store: MemoStore
    ) throws(StoreError) -> String {
        var cursor = children.failuresOnly.makeCursor(columns: [.errors, .facts])
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index)
                if child != .none, id != child { continue }
                let failure = block.withValue(at: index) { FailureInfo(decoding: $0) }
                let type = store.name(of: block.label(at: index)).map { " (\($0))" } ?? ""
                return "task \(id)\(type): \(failure)"
            }
        }
        return "task \(child)"
    }
}
