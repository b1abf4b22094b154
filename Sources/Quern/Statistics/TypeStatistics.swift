// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What the tasks of one type have done since the scheduler was made.
public struct TypeStatistics: Sendable, Equatable {
    /// The type.
    public var type: TaskType
    /// Tasks that got an outcome, by its kind.
    public var ended = OutcomeCounts()
    /// Attempts that failed and were or will be repeated.
    public var retries: UInt64 = 0
    /// What handlers said that they read and wrote (``TaskContext/recordIO(read:written:)``).
    public var readBytes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    /// Ends a second, over the last ten seconds.
    public var endedPerSecond = 0.0
    /// How long `execute` and `finalize` took.
    ///
    /// Tasks that take much less than a millisecond are timed together, a pull at a time: each counts with the mean of
    /// its pull.
    public var durations = DurationStatistics()
    /// How long the tasks of a pull had been ready, at most, when it was given to a worker: a sample a pull.
    public var queued = DurationStatistics()
}

/// The spread of many durations.
public struct DurationStatistics: Sendable, Equatable {
    /// How many there were.
    public var count: UInt64 = 0
    /// Zero when there were none, as the others.
    public var mean = Duration.zero
    /// Half of them were no longer, within 1 %.
    public var median = Duration.zero
    /// 99 of 100 were no longer, within 1 %.
    public var p99 = Duration.zero
    /// The longest, within 1 %.
    public var maximum = Duration.zero
}
