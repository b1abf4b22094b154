// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// When a task may start at the earliest. Kept to the millisecond.
public enum TaskStart: Sendable, Equatable {
    case at(Timestamp)
    /// This long after it was spawned, a hundred years at most.
    case after(Duration)
}

/// How long a task may take to end. Kept to the millisecond, a hundred years at most.
public struct TimeToLive: Sendable, Equatable {
    /// What the time counts from.
    public enum Basis: UInt8, Sendable, CaseIterable {
        /// When the task was spawned.
        case submission = 1
        /// When its first attempt began; waiting does not count.
        case firstAttempt = 2
    }

    public var duration: Duration
    public var basis: Basis

    public init(_ duration: Duration, from basis: Basis = .submission) {
        self.duration = duration
        self.basis = basis
    }
}

extension Duration {
    /// The longest that a task may be put off, or live.
    static let century = Duration.seconds(100 * 366 * 24 * 3600)

    /// From nothing to a hundred years, in whole milliseconds, rounded up.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = min(max(.zero, self), .century).components
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
