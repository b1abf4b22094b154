// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What is to be done with a parent, decided from its durable state alone (T3, T8, T9, T10): after a crash the same
/// state leads to the same decision.
///
/// | | live children | none left, executed | none left, not executed |
/// |---|---|---|---|
/// | to be cancelled | cancel them | end as cancelled | wait: its own end is under way |
/// | more children failed than the policy bears | cancel them | end as failed | wait for `execute` |
/// | `execute` failed for good | cancel them | end as failed | |
/// | else | wait | finalize | wait for `execute` |
enum ParentResolution: Equatable {
    case wait
    case cancelChildren
    case finalize
    case endFailed
    case endCancelled

    /// - Parameters:
    ///   - isCancelled: whether the parent is to be cancelled, by request or with one of its own parents.
    ///   - kept: children that completed before, below the task that the parent redrives: it has them, too.
    /// - Complexity: O(1), however many children there are.
    static func decide(
        _ status: ParentStatus, policy: ChildFailurePolicy, isCancelled: Bool, kept: UInt64 = 0
    ) -> ParentResolution {
        let isCancelled = isCancelled || status.cancelRequested
        var counts = status.counts
        counts.completed += kept
        let isFailing =
            status.phase == TaskPhase.failed || policy.isFailed(counts, liveChildren: status.liveChildren)
        if status.liveChildren > 0 { return isCancelled || isFailing ? .cancelChildren : .wait }
        if status.phase == TaskPhase.executing { return .wait }
        if isCancelled { return .endCancelled }
        return isFailing ? .endFailed : .finalize
    }
}

/// The durable phases of a task.
enum TaskPhase {
    /// `execute` has not committed.
    static let executing: UInt8 = 0
    /// `execute` has committed and sealed its hand-over; children may live.
    static let children: UInt8 = 1
    /// `execute` has failed for good, and children live that were spawned ahead of its end; slot 0 has the failure.
    static let failed: UInt8 = 2
}
