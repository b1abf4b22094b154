// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How many children of an orchestrator task may end in failure (T12a).
public struct FailureBudget: Sendable, Equatable {
    /// So many failures are borne; nil for any number.
    public var count: UInt64?
    /// This share of the children, 0 to 1, may fail; nil for all of them. It counts against all children that are
    /// known, those that have not ended and those that a redriven tree keeps among them, but those that were cancelled
    /// or superseded.
    public var share: Double?
    /// The share is not looked at while fewer children are known.
    public var minimum: UInt64

    public init(count: UInt64? = nil, share: Double? = nil, minimum: UInt64 = 0) {
        self.count = count
        self.share = share
        self.minimum = minimum
    }

    /// Whether the children that have ended failed more often than is borne, whatever becomes of those that live.
    func isExceeded(_ counts: OutcomeCounts, liveChildren: UInt64) -> Bool {
        let failures = counts.failures
        if failures == 0 { return false }
        if let count, failures > count { return true }
        guard let share else { return false }
        let known = Double(counts.completed) + Double(failures) + Double(liveChildren)
        return known >= Double(minimum) && Double(failures) > share * known
    }
}

extension ChildFailurePolicy {
    /// Bears so many failed children; one more cancels the others and fails the parent, as `failFast` does.
    public static func budget(count: UInt64) -> ChildFailurePolicy { .within(FailureBudget(count: count)) }

    /// Bears that share of failed children. As soon as more have failed than that share of all that are known, however
    /// the others will end, these are cancelled and the parent fails, as with `failFast`.
    ///
    /// - Parameters:
    ///   - share: 0 to 1.
    ///   - minimum: the share is not looked at while fewer children are known: neither while a large fan-out begins,
    ///     nor when a small one ends.
    public static func budget(share: Double, minimum: UInt64 = 0) -> ChildFailurePolicy {
        .within(FailureBudget(share: share, minimum: minimum))
    }

    /// Whether the failures of children end their parent. Decided by durable counts alone, so that it is the same after
    /// a crash.
    func isFailed(_ counts: OutcomeCounts, liveChildren: UInt64) -> Bool {
        switch self {
        case .failFast: counts.failures > 0
        case .tolerate: false
        case .within(let budget): budget.isExceeded(counts, liveChildren: liveChildren)
        }
    }
}
