// SPDX-License-Identifier: Apache-2.0
public import Logging
public import QuernStore

/// What a handler's `execute` knows of its task, and how it spawns others.
///
/// Spawned tasks are buffered, and written ahead to the log when they become many: they commit together with what
/// `execute` returns, or not at all (T6). A context may be used from several Swift tasks at a time, until `execute` has
/// returned.
public struct TaskContext: Sendable {
    /// The task's id: the same in every attempt, and never that of another task.
    public let id: TaskID
    /// The task's parent; ``TaskID/none`` for a root task.
    public let parent: TaskID
    /// Which attempt this is; 1 at first. Attempts that a stop or a crash cut short do not count.
    public let attempt: UInt32
    /// When this attempt began.
    public let startedAt: Timestamp

    let label: Label
    let isOrchestrator: Bool
    let ticket: UInt64
    let buffer: PullBuffer
    let core: SchedulerCore

    /// The time now, from the scheduler's clock.
    public var now: Timestamp { core.clock.now }

    /// Whether the task was cancelled, the scheduler is stopping at once, or room is to be made for a better task. A
    /// handler that soon throws `CancellationError` is kind to others: a task that was not cancelled itself is then
    /// started anew later, the attempt not counted. What a handler returns is the outcome all the same, so it must not
    /// return less than the whole. To a task that was cancelled neither makes a difference.
    public var isCancelled: Bool { Task.isCancelled }

    /// The scheduler's logger, with the task's id.
    public var logger: Logger {
        var logger = core.logger
        logger[metadataKey: "task"] = "\(id)"
        return logger
    }
}
