// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What became of a task that was submitted.
public enum Submission: Sendable, Equatable {
    /// It is a new task.
    case inserted
    /// A live task has the key, or a later task of the same batch: that is what the handle stands for (T11).
    case duplicate
    /// As ``duplicate``, and the live task got its priority, which is better than the one it had.
    case upgraded
    /// It is a new task, and the live one that had the key is being cancelled, to end as ``OutcomeKind/superseded``.
    case replaced(TaskID)
    /// As ``duplicate``, where ``TaskOptions/onDuplicate`` says that it is an error.
    case rejected

    /// - Parameter rejects: whether duplicates are an error.
    init(_ disposition: SpawnDisposition, rejects: Bool) {
        switch disposition {
        case .inserted: self = .inserted
        case .duplicate: self = rejects ? .rejected : .duplicate
        case .upgraded: self = .upgraded
        case .replaced(let old, _): self = .replaced(old)
        }
    }
}

/// What became of tasks that were submitted, in numbers: see ``Submission``.
public struct SubmissionCounts: Sendable, Equatable {
    public var inserted: UInt64 = 0
    public var duplicates: UInt64 = 0
    public var upgraded: UInt64 = 0
    public var replaced: UInt64 = 0
    public var rejected: UInt64 = 0

    /// No tasks.
    public init() {}

    init(_ counts: SpawnCounts, rejects: Bool) {
        inserted = counts.inserted
        duplicates = rejects ? 0 : counts.duplicates
        upgraded = counts.upgraded
        replaced = counts.replaced
        rejected = rejects ? counts.duplicates : 0
    }

    /// All tasks that were submitted.
    public var total: UInt64 { inserted + duplicates + upgraded + replaced + rejected }

    static func += (left: inout Self, right: Self) {
        left.inserted += right.inserted
        left.duplicates += right.duplicates
        left.upgraded += right.upgraded
        left.replaced += right.replaced
        left.rejected += right.rejected
    }
}

/// What became of a batch of root tasks, in a few bytes however many there are.
public struct BatchSubmission: Sendable, Equatable {
    public var counts: SubmissionCounts
    /// The ids of the new tasks, ascending; a few ranges at most. Where a key was taken, an id in them may be that of
    /// no task.
    public var ids: [Range<UInt64>]
}

extension SpawnDisposition {
    /// The new task, or the live one.
    var task: TaskID {
        switch self {
        case .inserted(let task), .duplicate(let task), .upgraded(let task), .replaced(_, let task): task
        }
    }
}
