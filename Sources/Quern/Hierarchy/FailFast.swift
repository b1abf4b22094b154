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
            let execution = try failedExecution(sealed)
            outcome.attempts = execution.attempts
            let remains = try core.remains(of: parent, stoppedChildren: true)
            buffer.abandon { [outcome] in
                $0.end(outcome, as: execution.kind, failure: execution.failure, leaving: remains)
            }
            report.ended[execution.kind] = 1
            report.events?.add(.ended(execution.kind), outcome)
        } catch {
            core.readFailed(error)
            report.givenBack = parent.bit
        }
        return report
    }

    private func failedExecution(_ sealed: [UInt8]) throws(StoreError) -> FailedExecution {
        if core.store.status(of: parent.id)?.phase == TaskPhase.failed,
            let execution = FailedExecution(decoding: sealed)
        {
            return execution
        }
        let kept = core.read { $0.dispatcher.keptChildren[parent.id] ?? 0 }
        let failure = try core.failureOfChildren(
            of: parent.id, parent.run.label, first: parent.firstFailure, kept: kept)
        return FailedExecution(kind: .failed, attempts: parent.attempts + 1, failure: failure)
    }
}

extension SchedulerCore {
    /// Why a parent fails that children failed for. Blocking.
    ///
    /// - Parameters:
    ///   - first: the first child that failed, when it is known.
    ///   - kept: its children that are below the task that it redrives.
    func failureOfChildren(
        of parent: TaskID, _ label: Label, first: TaskID, kept: UInt64 = 0
    ) throws(StoreError) -> FailureInfo {
        let children = try store.children(of: parent)
        let described = try describeFailure(first, of: children)
        guard case .within? = types.runner(of: label)?.facts.policy else {
            return FailureInfo(reason: "child failed", detail: described)
        }
        let counts = "\(children.counts.failures) of \(children.counts.total + kept) children failed, the first of them"
        return FailureInfo(reason: "failure budget exceeded", detail: "\(counts) \(described)")
    }

    private func describeFailure(_ child: TaskID, of children: ChildSnapshot) throws(StoreError) -> String {
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
