// SPDX-License-Identifier: Apache-2.0

/// What a committed transaction got.
public struct Commit: Sendable, Equatable {
    /// The commit position of its first outcome, or of the next outcome when it has none.
    public var sequence: UInt64
    /// The ids of the spawned tasks, a range for each stretch of consecutive spawns that share parent, label,
    /// priority, attributes and time, in the order of the calls.
    public var spawned: [Range<UInt64>]
    /// The ids of the tasks of each stage that it committed, in the order of ``Transaction/commit(_:)``; empty for a
    /// stage without tasks.
    public var staged: [Range<UInt64>]

    init(sequence: UInt64, spawned: [Range<UInt64>], staged: [Range<UInt64>] = []) {
        self.sequence = sequence
        self.spawned = spawned
        self.staged = staged
    }
}
