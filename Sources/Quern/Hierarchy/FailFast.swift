// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The end of a fail-fast parent: it fails with the first failure of a child, and `finalize` does not run (T8).
struct FailFast {
    let parent: WaitingParent
    let core: SchedulerCore

    /// Blocking: looks for the first failure among the children.
    func run(in buffer: PullBuffer) -> PullReport {
        var report = PullReport(events: core.collectEvents(of: core.types.type(of: parent.run.label)))
        do {
            let sealed = try core.store.handover(of: parent.id)
            let failure = try describeFirstFailure()
            let outcome = parent.outcome(startedAt: SealedHandover.startedAt(sealed), endedAt: core.clock.now)
            buffer.abandon { $0.end(outcome, as: .failed, failure: failure) }
            report.ended.failed = 1
            report.events?.add(.ended(.failed), outcome)
        } catch {
            core.storeFailed(error)
            report.givenBack = parent.bit
        }
        return report
    }

    private func describeFirstFailure() throws(StoreError) -> FailureInfo {
        var cursor = try core.store.children(of: parent.id).failuresOnly.makeCursor(columns: [.errors, .facts])
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index)
                if parent.firstFailure != .none, id != parent.firstFailure { continue }
                let failure = block.withValue(at: index) { FailureInfo(decoding: $0) }
                let type = core.store.name(of: block.label(at: index)).map { " (\($0))" } ?? ""
                return FailureInfo(reason: "child failed", detail: "task \(id)\(type): \(failure)")
            }
        }
        return FailureInfo(reason: "child failed", detail: "task \(parent.firstFailure)")
    }
}
