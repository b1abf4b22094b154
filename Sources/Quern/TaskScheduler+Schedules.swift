// SPDX-License-Identifier: Apache-2.0
public import QuernStore
import Synchronization

extension TaskScheduler {
    /// Has a task spawned again and again, as a root task (T16).
    ///
    /// ```swift
    /// try await scheduler.schedule(
    ///     "nightly report", Report(kind: .daily), .cron("0 3 * * *", timeZone: "Europe/Berlin"))
    /// ```
    ///
    /// A schedule is durable: it goes on in the next process, also when that does not call this. Calling it again with
    /// the same arguments changes nothing, so that programs may do so at each start; with others, the schedule begins
    /// anew from now. A tick and the note that it was spawned are one transaction: none is lost to a crash, and none is
    /// spawned twice.
    ///
    /// - Parameters:
    ///   - name: what the schedule is known by; 1 to 200 bytes.
    ///   - task: what is spawned each time; ``TaskContext/scheduledFor`` tells its handler for when.
    ///   - missed: what becomes of the times that passed while no scheduler ran.
    ///   - overlaps: whether a task is spawned although that of an earlier tick has not ended. If not, the tick is left
    ///     out, and missed ones are made up for once at most.
    ///   - limit: how many tasks are spawned in all; nil for no limit.
    ///   - options: what holds for each task. No key: the ticks would be each other's duplicates.
    /// - Returns: when the schedule is durable.
    /// - Throws: ``SchedulerError`` with `notRegistered`, `payloadNotEncodable`, `payloadTooLarge` (above 48 KiB),
    ///   `invalidOptions`, `unknownTimeZone` or `stopped`, or with the store's error as its cause.
    public func schedule<Work: DurableTask>(
        _ name: String, _ task: Work, _ recurrence: Recurrence, missed: MissedTicks = .latest,
        overlaps: Bool = false, limit: UInt64? = nil, options: TaskOptions = TaskOptions()
    ) async throws(SchedulerError) {
        guard (1...200).contains(name.utf8.count) else {
            throw SchedulerError(.invalidOptions, "a schedule's name of \(name.utf8.count) bytes")
        }
        let terms = try core.types.terms(of: Work.self, options)
        if !terms.dependencies.isEmpty { try core.checkDependencies(of: terms, under: .none) }
        guard terms.key == nil else { throw SchedulerError(.invalidOptions, "a schedule's tasks cannot have a key") }
        var writer = ByteWriter()
        do { try task.encodePayload(into: &writer) } catch {
            throw SchedulerError(.payloadNotEncodable, "a \(Work.type) cannot be stored: \(error)")
        }
        guard writer.count <= 48 << 10 else {
            throw SchedulerError(
                .payloadTooLarge, "a \(Work.type) of \(writer.count) bytes in a schedule; the limit is \(48 << 10)")
        }
        let definition = Schedule.Definition(
            label: core.store.name(of: terms.label) ?? Work.type.name, payload: writer.bytes,
            priority: terms.priority, attributes: terms.attributes, recurrence: recurrence, missed: missed,
            overlaps: overlaps, limit: limit)
        let (known, rests) = core.schedules.withLock { ($0[name], $0.rests(name)) }
        guard let known, known.definition == definition else {
            let schedule = Schedule(definition, at: core.clock.now)
            return try await core.setSchedule(name, schedule, try await core.source(recurrence, start: schedule.start))
        }
        if rests { core.wake(name, try await core.source(recurrence, start: known.start)) }
    }

    /// Ends a schedule. What it has spawned goes on.
    ///
    /// - Returns: false when there is none of this name.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause.
    @discardableResult
    public func unschedule(_ name: String) async throws(SchedulerError) -> Bool {
        guard core.schedules.withLock({ $0[name] }) != nil else { return false }
        try await core.setSchedule(name, nil, nil)
        return true
    }

    /// The schedules, by name.
    public var schedules: [ScheduleStatus] {
        core.schedules.withLock { book in
            book.all.map { name, schedule in
                ScheduleStatus(
                    name: name, type: TypeLabel(name: schedule.definition.label).type,
                    recurrence: schedule.definition.recurrence, spawned: schedule.spawned,
                    nextDue: book.nextDue(of: name, now: core.clock.now))
            }
        }
    }
}

/// How a schedule is doing.
public struct ScheduleStatus: Sendable, Equatable {
    /// What it is known by.
    public var name: String
    /// What it spawns.
    public var type: TaskType
    /// When.
    public var recurrence: Recurrence
    /// How many tasks it has spawned.
    public var spawned: UInt64
    /// When it spawns the next one; nil when it has reached its limit, or rests because its type or time zone is not
    /// known to this process.
    public var nextDue: Timestamp?
}

extension TaskContext {
    /// The time that a schedule spawned the task for; nil for other tasks.
    ///
    /// - Complexity: O(the task's options).
    public var scheduledFor: Timestamp? {
        core.store.run(of: id).flatMap { core.attributes(of: $0) }?.scheduledFor
    }
}
