// SPDX-License-Identifier: Apache-2.0

/// What a committed transaction got.
public struct Commit: Sendable, Equatable {
    /// The commit position of its first outcome, or of the next outcome when it has none.
    public var sequence: UInt64
    /// The ids of the spawned tasks, those left out whose keys were taken, a range for each stretch of consecutive
    /// spawns that share parent, label, priority, attributes and time, in the order of the calls.
    public var spawned: [Range<UInt64>]
    /// The ids of the tasks of each stage that it committed, in the order of ``Transaction/commit(_:tellingEach:)``;
    /// empty for a stage without tasks. Some may be no tasks: see ``absent``.
    public var staged: [Range<UInt64>]
    /// What became of all spawns, those of the stages too.
    public var counts: SpawnCounts
    /// Of each stage, what is no task.
    private var absentPositions: [AbsentPositions]
    /// One for each spawn of a transaction in which some have keys, else empty.
    private var dispositions: [SpawnDisposition]
    /// By the id that the task of a stage got or would have got, if that is not all that became of it.
    private var stagedDispositions: [TaskID: SpawnDisposition]

    init(
        sequence: UInt64, spawned: [Range<UInt64>], staged: [Range<UInt64>] = [], counts: SpawnCounts,
        absentPositions: [AbsentPositions] = [], dispositions: [SpawnDisposition] = [],
        stagedDispositions: [TaskID: SpawnDisposition] = [:]
    ) {
        self.sequence = sequence
        self.spawned = spawned
        self.staged = staged
        self.counts = counts
        self.absentPositions = absentPositions
        self.dispositions = dispositions
        self.stagedDispositions = stagedDispositions
    }

    /// Those of ``staged`` that are no tasks, in order: their keys were taken. O(absent x log absent).
    public var absent: [TaskID] {
        zip(staged, absentPositions).flatMap { range, absent in
            absent.positions.map { TaskID(range.lowerBound + $0) }
        }
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

    /// What became of a spawn in a stage, by its position there. O(1).
    ///
    /// - Parameter stage: which of ``staged``. It must have been committed with `tellingEach`.
    public func disposition(ofStaged position: UInt64, in stage: Int = 0) -> SpawnDisposition {
        let id = TaskID(staged[stage].lowerBound + position)
        return stagedDispositions[id] ?? .inserted(id)
    }
}
