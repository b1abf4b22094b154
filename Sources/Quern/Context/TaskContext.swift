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

    /// Whether the task was cancelled or the scheduler is stopping at once. A handler that returns soon after is
    /// kind to others; what it returns or throws then makes no difference to a cancelled task.
    public var isCancelled: Bool { Task.isCancelled }

    /// The scheduler's logger, with the task's id.
    public var logger: Logger {
        var logger = core.logger
        logger[metadataKey: "task"] = "\(id)"
        return logger
    }

    /// Spawns a task below this one, which `finalize` will see.
    ///
    /// - Throws: ``SchedulerError`` with `notAnOrchestrator` when the handler has no `finalize`, `notRegistered`,
    ///   `payloadNotEncodable`, `payloadTooLarge`, or `contextExpired`. The handler may go on after all but the last.
    /// - Complexity: O(payload). Durable when `execute` has returned and committed.
    public func spawnChild<Work: DurableTask>(_ task: Work) throws(SchedulerError) {
        guard isOrchestrator else {
            throw SchedulerError(.notAnOrchestrator, "the handler of task \(id) has no finalize to see children")
        }
        try spawn(task, under: id)
    }

    /// Spawns a task beside this one, under the same parent (T7).
    ///
    /// - Throws: ``SchedulerError`` with `noParent` when this is a root task, `notRegistered`,
    ///   `payloadNotEncodable`, `payloadTooLarge`, or `contextExpired`. The handler may go on after all but the last.
    /// - Complexity: O(payload). Durable when `execute` has returned and committed.
    public func spawnSibling<Work: DurableTask>(_ task: Work) throws(SchedulerError) {
        guard parent != .none else {
            throw SchedulerError(.noParent, "root task \(id) has no parent to spawn a sibling under")
        }
        try spawn(task, under: parent)
    }

    private func spawn<Work: DurableTask>(_ task: Work, under parent: TaskID) throws(SchedulerError) {
        let label = try core.types.label(of: Work.self)
        try buffer.spawn(ticket, in: core.store) { transaction throws(SchedulerError) in
            try transaction.spawn(task, under: parent, label: label, at: startedAt)
        }
    }
}

extension Transaction {
    /// Adds a typed task; checks what the scheduler promises of payloads.
    mutating func spawn<Work: DurableTask>(
        _ task: Work, under parent: TaskID, label: Label, at time: Timestamp
    ) throws(SchedulerError) {
        try spawn(under: parent, label: label, at: time) { writer throws(SchedulerError) in
            let start = writer.count
            do { try task.encodePayload(into: &writer) } catch {
                throw SchedulerError(.payloadNotEncodable, "a \(Work.type) cannot be stored: \(error)")
            }
            guard writer.count - start <= Limits.valueBytes else {
                throw SchedulerError(.payloadTooLarge, "a \(Work.type) of \(writer.count - start) bytes")
            }
        }
    }
}
