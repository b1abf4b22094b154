// SPDX-License-Identifier: Apache-2.0

/// How long ended trees are kept: each bound that is set drops whole trees, those whose root task ended first (T12).
///
/// A tree with a live root task is never dropped and counts for no bound.
public struct RetentionPolicy: Sendable, Equatable {
    /// Trees whose root task ended longer ago are dropped.
    public var age: Duration?
    /// Of more ended root tasks than this the oldest are dropped.
    public var count: Int?
    /// When the ended trees take more bytes of index than this, the oldest are dropped.
    public var bytes: Int?

    /// Keeps to each bound that is not nil; to none, it drops nothing.
    public init(age: Duration? = nil, count: Int? = nil, bytes: Int? = nil) {
        self.age = age
        self.count = count
        self.bytes = bytes
    }
}

/// What retention dropped.
public struct RetentionReport: Sendable, Equatable {
    /// Trees dropped.
    public var trees = 0
    /// Ended tasks in them, the root tasks too.
    public var children: UInt64 = 0
    /// Bytes of index that a compaction can reclaim.
    public var bytes = 0

    static func += (left: inout RetentionReport, right: RetentionReport) {
        left.trees += right.trees
        left.children += right.children
        left.bytes += right.bytes
    }
}

/// Decides about one ended root task after the other, the one that ended first at first.
struct RetentionPlan {
    private let oldest: Timestamp?
    private let count: Int?
    private let bytes: Int?
    private var remainingCount: Int
    private var remainingBytes: Int

    /// - Parameters:
    ///   - count: ended root tasks that are there.
    ///   - bytes: what all ended trees take; of no matter where the policy has no bound in bytes.
    init(_ policy: RetentionPolicy, now: Timestamp, count: Int, bytes: Int) {
        oldest = policy.age.map { age in
            let (seconds, attoseconds) = age.components
            let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1000)
            let milliseconds = overflows ? (seconds < 0 ? .min : .max) : whole &+ attoseconds / 1_000_000_000_000_000
            let (time, underflows) = now.rawValue.subtractingReportingOverflow(milliseconds)
            return Timestamp(milliseconds: underflows ? (milliseconds > 0 ? .min : .max) : time)
        }
        self.count = policy.count
        self.bytes = policy.bytes
        remainingCount = count
        remainingBytes = bytes
    }

    /// Whether nothing behind the last root can be dropped. With a bound of age any of them can: clocks are set.
    var isSettled: Bool { oldest == nil && !exceedsCount && !exceedsBytes }

    private var exceedsCount: Bool { count.map { remainingCount > $0 } ?? false }
    private var exceedsBytes: Bool { bytes.map { remainingBytes > $0 } ?? false }

    /// Leaves some of the roots out of account, and as much of the bytes as that many trees take on average.
    mutating func passOver(_ roots: Int) {
        guard roots > 0, remainingCount > 0 else { return }
        remainingBytes -= Int(Double(remainingBytes) * Double(min(roots, remainingCount)) / Double(remainingCount))
        remainingCount -= min(roots, remainingCount)
    }

    /// Whether the tree is dropped.
    mutating func drops(endedAt: Timestamp, bytes: Int) -> Bool {
        let isOld = oldest.map { endedAt.rawValue < $0.rawValue } ?? false
        guard isOld || exceedsCount || exceedsBytes else { return false }
        remainingCount -= 1
        remainingBytes -= bytes
        return true
    }
}
