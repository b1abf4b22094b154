// SPDX-License-Identifier: Apache-2.0

/// How a task ended. A task has exactly one outcome.
public enum OutcomeKind: UInt8, Sendable, CaseIterable, BitwiseCopyable {
    /// The handler returned; the outcome carries a memo.
    case completed = 1
    /// The handler failed for good without a retry.
    case failed = 2
    /// Every attempt that the retry policy allowed failed.
    case deadLettered = 3
    /// Cancelled, by itself or with its tree.
    case cancelled = 4
    /// Its time to live ran out.
    case expired = 5
    /// A newer task with the same key took its place.
    case superseded = 6
    /// A task that it depended on did not complete.
    case dependencyFailed = 7

    /// Whether a task may be cancelled to end like this: whoever asks knows why, and the handler does not.
    var isCancel: Bool {
        switch self {
        case .cancelled, .expired, .superseded, .dependencyFailed: true
        case .completed, .failed, .deadLettered: false
        }
    }

    /// Whether the outcome counts as a failure of the child (T8): failed, dead-lettered, expired or dependency-failed.
    public var isFailure: Bool {
        switch self {
        case .failed, .deadLettered, .expired, .dependencyFailed: true
        case .completed, .cancelled, .superseded: false
        }
    }
}

/// How many children of one parent ended in each way.
public struct OutcomeCounts: Sendable, Equatable, BitwiseCopyable {
    /// Each the number of children that ended as the ``OutcomeKind`` of the same name.
    public var completed: UInt64 = 0
    /// See ``completed``.
    public var failed: UInt64 = 0
    /// See ``completed``.
    public var deadLettered: UInt64 = 0
    /// See ``completed``.
    public var cancelled: UInt64 = 0
    /// See ``completed``.
    public var expired: UInt64 = 0
    /// See ``completed``.
    public var superseded: UInt64 = 0
    /// See ``completed``.
    public var dependencyFailed: UInt64 = 0

    /// None of any kind.
    public init() {}

    /// That many of one kind.
    public init(_ kind: OutcomeKind, count: UInt64 = 1) { self[kind] = count }

    /// Counts others in. Sums beyond the largest number stay there.
    public mutating func add(_ other: OutcomeCounts) {
        for kind in OutcomeKind.allCases where other[kind] > 0 {
            let (sum, overflow) = self[kind].addingReportingOverflow(other[kind])
            self[kind] = overflow ? .max : sum
        }
    }

    /// Children that ended, in whichever way.
    public var total: UInt64 {
        completed + failed + deadLettered + cancelled + expired + superseded + dependencyFailed
    }

    /// Children that ended in failure (see ``OutcomeKind/isFailure``).
    public var failures: UInt64 { failed + deadLettered + expired + dependencyFailed }

    /// The count of one kind.
    public subscript(kind: OutcomeKind) -> UInt64 {
        get {
            switch kind {
            case .completed: completed
            case .failed: failed
            case .deadLettered: deadLettered
            case .cancelled: cancelled
            case .expired: expired
            case .superseded: superseded
            case .dependencyFailed: dependencyFailed
            }
        }
        set {
            switch kind {
            case .completed: completed = newValue
            case .failed: failed = newValue
            case .deadLettered: deadLettered = newValue
            case .cancelled: cancelled = newValue
            case .expired: expired = newValue
            case .superseded: superseded = newValue
            case .dependencyFailed: dependencyFailed = newValue
            }
        }
    }
}
