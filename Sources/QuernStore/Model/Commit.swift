// SPDX-License-Identifier: Apache-2.0

/// What a committed transaction got.
public struct Commit: Sendable, Equatable {
    /// The commit position of its first outcome, or of the next outcome when it has none.
    public var sequence: UInt64
    /// The ids of the spawned tasks, those left out whose keys were taken, a range for each stretch of consecutive
    /// spawns that share parent, label, priority, attributes and time, in the order of the calls.
    public var spawned: [Range<UInt64>]
    /// The ids of the tasks of each stage that it committed, in the order of ``Transaction/commit(_:)``; empty for a
    /// stage without tasks.
    public var staged: [Range<UInt64>]
    /// Those of ``staged`` that are no tasks, in order: their keys were taken.
    public var absent: [TaskID]
    /// One for each spawn of a transaction in which some have keys, else empty.
    private var dispositions: [SpawnDisposition]

    init(
        sequence: UInt64, spawned: [Range<UInt64>], staged: [Range<UInt64>] = [], absent: [TaskID] = [],
        dispositions: [SpawnDisposition] = []
    ) {
        self.sequence = sequence
        self.spawned = spawned
        self.staged = staged
        self.absent = absent
        self.dispositions = dispositions
    }

    /// What became of a spawn, by its number among those of the transaction, from 0. Those of a stage do not count.
    ///
    /// - Complexity: O(1) when some had keys, else O(``spawned``).
    public func disposition(of index: Int) -> SpawnDisposition {
        if !dispositions.isEmpty { return dispositions[index] }
        var rest = UInt64(index)
        for range in spawned {
            let count = range.upperBound - range.lowerBound
            if rest < count { return .inserted(TaskID(range.lowerBound + rest)) }
            rest -= count
        }
        preconditionFailure("the transaction spawned fewer tasks")
    }
}

/// What became of a spawn.
public enum SpawnDisposition: Sendable, Equatable {
    /// It is a new task.
    case inserted(TaskID)
    /// It is none: a live task has its key, or a later spawn of the same transaction.
    case duplicate(of: TaskID)
    /// It is none: the live task that has its key got its priority, which is better than the one it had.
    case upgraded(TaskID)
    /// It is a new task, and the live one that had its key is to be cancelled as ``OutcomeKind/superseded``.
    case replaced(TaskID, by: TaskID)
}
