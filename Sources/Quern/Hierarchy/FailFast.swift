// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The end of a parent that children failed for: it fails with the first failure of a child, and `finalize` does not
/// run (T8).
struct FailFast {
    let parent: WaitingParent
    let core: SchedulerCore

    /// Blocking: looks for the first failure among the children.
    func run(in buffer: PullBuffer) -> PullReport {
        var report = PullReport(events: core.collectEvents(of: core.types.type(of: parent.run.label)))
        do {
            let sealed = try core.store.handover(of: parent.id)
            let failure = try describeFailures()
            let outcome = parent.outcome(startedAt: SealedHandover.startedAt(sealed), endedAt: core.clock.now)
            let remains = core.remains(of: parent, stoppedChildren: true)
            buffer.abandon { $0.end(outcome, as: .failed, failure: failure, leaving: remains) }
            report.ended.failed = 1
            report.events?.add(.ended(.failed), outcome)
        } catch {
            core.storeFailed(error)
            report.givenBack = parent.bit
        }
        return report
    }

    private func describeFailures() throws(StoreError) -> FailureInfo {
        let children = try core.store.children(of: parent.id)
        let first = try describeFirstFailure(of: children)
        guard case .within? = core.types.runner(of: parent.run.label)?.facts.policy else {
            return FailureInfo(reason: "child failed", detail: first)
        }
        let counts = "\(children.counts.failures) of \(children.counts.total) children failed, the first of them"
        return FailureInfo(reason: "failure budget exceeded", detail: "\(counts) \(first)")
    }

    private func describeFirstFailure(of children: ChildSnapshot) throws(StoreError) -> String {
        var cursor = children.failuresOnly.makeCursor(columns: [.errors, .facts])
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index)
                if parent.firstFailure != .none, id != parent.firstFailure { continue }
                let failure = block.withValue(at: index) { FailureInfo(decoding: $0) }
                let type = core.store.name(of: block.label(at: index)).map { " (\($0))" } ?? ""
                return "task \(id)\(type): \(failure)"
            }
        }
        return "task \(parent.firstFailure)"
    }
}
