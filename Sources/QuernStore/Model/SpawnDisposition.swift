// SPDX-License-Identifier: Apache-2.0

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

/// What became of spawns, in numbers.
public struct SpawnCounts: Sendable, Equatable {
    /// New tasks, those not among them that replaced others.
    public var inserted: UInt64 = 0
    /// See ``SpawnDisposition/duplicate(of:)``.
    public var duplicates: UInt64 = 0
    /// See ``SpawnDisposition/upgraded(_:)``.
    public var upgraded: UInt64 = 0
    /// See ``SpawnDisposition/replaced(_:by:)``.
    public var replaced: UInt64 = 0

    /// No spawns.
    public init() {}

    /// All spawns.
    public var total: UInt64 { inserted + duplicates + upgraded + replaced }
}
