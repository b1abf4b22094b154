// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore
import Synchronization

/// The shell of the schedules: spawns what is due, in one transaction with the note of what it was spawned for. So a
/// crash neither loses a tick nor spawns one twice.
extension SchedulerCore {
    /// The named values that schedules are kept in.
    static let schedulePrefix = "quern/schedule/"
    /// How long ticks wait for space before they are tried again.
    private static let retryDelay: Int64 = 1000

    /// Stores a schedule, and has it take effect when it is stored, in the order of the commits.
    func setSchedule(
        _ name: String, _ schedule: Schedule?, _ source: TickSource?
    ) async throws(SchedulerError) {
        var transaction = Transaction()
        do { transaction.set(Self.schedulePrefix + name, to: try schedule?.encoded()) } catch {
            throw SchedulerError(.payloadNotEncodable, "schedule \"\(name)\": \(error)")
        }
        let filled = transaction
        schedules.withLock { $0.beginChange(of: name) }
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            store.enqueue(filled) { [self] result in
                schedules.withLock { book in
                    if case .success = result {
                        book.endChange(of: name, to: schedule, source, now: clock.now)
                    } else {
                        book.abandonChange(of: name, now: clock.now)
                    }
                    noteNextTick(book)
                }
                continuation.resume(returning: result.map { _ in })
            }
        }
        do { try result.get() } catch { throw SchedulerError(error) }
    }

    /// Has a schedule tick that rested since its time zone was not known.
    func wake(_ name: String, _ source: TickSource) {
        schedules.withLock { book in
            book.wake(name, source, now: clock.now)
            noteNextTick(book)
        }
    }

    /// The clock was turned back: what was to come late may be due soon.
    func lookAtSchedulesAgain() {
        schedules.withLock { book in
            book.lookAgain(now: clock.now)
            let next = book.nextDue
            perform { state in
                state.nextTick = next
                state.dispatcher.questionsUnderWay -= 1
            }
        }
    }

    private func noteNextTick(_ book: borrowing ScheduleBook) {
        let next = book.nextDue
        perform { $0.nextTick = next }
    }

    /// Spawns what is due.
    func fireSchedules() {
        schedules.withLock { book in
            let firings = book.takeDue(at: clock.now) { store.task(forKey: scheduleKey($0)) != nil }
            for firing in firings {
                let transaction: Transaction
                do { transaction = try spawns(of: firing) } catch {
                    logger.error("schedule \"\(firing.name)\" spawned nothing: \(error)")
                    book.endChange(of: firing.name, to: firing.schedule, firing.source, now: clock.now)
                    continue
                }
                perform { $0.dispatcher.questionsUnderWay += 1 }
                store.enqueue(transaction) { [weak self] result in
                    self?.settle(firing, result.map { _ in })
                    self?.perform { $0.dispatcher.questionsUnderWay -= 1 }
                }
            }
            let next = book.nextDue
            perform { state in
                state.nextTick = next
                state.dispatcher.questionsUnderWay -= 1
            }
        }
    }

    private func spawns(of firing: ScheduleBook.Firing) throws -> Transaction {
        let definition = firing.schedule.definition
        var transaction = Transaction()
        transaction.set(Self.schedulePrefix + firing.name, to: try firing.schedule.encoded())
        guard !firing.ticks.isEmpty, let label = label(of: definition) else { return transaction }
        var attributes = try TaskAttributes(decoding: definition.attributes)
        for tick in firing.ticks {
            attributes.scheduledFor = tick
            transaction.spawn(
                under: .none, label: label, priority: definition.priority, attributes: try attributes.encoded(),
                key: definition.overlaps ? nil : scheduleKey(firing.name), onDuplicate: .ignore, at: clock.now
            ) { $0.append(contentsOf: definition.payload) }
        }
        return transaction
    }

    /// What was not stored is due again, unless the store refuses it or is at its end.
    private func settle(_ firing: ScheduleBook.Firing, _ result: Result<Void, StoreError>) {
        var retry: Timestamp?
        if case .failure(let error) = result {
            let isRefused = error.code == .tooLarge || error.code == .rejected
            // A closed store says so at once, while the caller has the schedules in hand.
            guard error.isTransient || isRefused else { return storeFailed(error) }
            logger.error("a tick cannot be stored of schedule \"\(firing.name)\": \(error)")
            if !isRefused { retry = Timestamp(milliseconds: clock.now.rawValue.addingSaturating(Self.retryDelay)) }
        }
        schedules.withLock { book in
            if let retry {
                book.abandonChange(of: firing.name, notBefore: retry, now: clock.now)
            } else {
                book.endChange(of: firing.name, to: firing.schedule, firing.source, now: clock.now)
            }
            noteNextTick(book)
        }
    }

    /// What only one live task of a schedule that does not overlap has.
    private func scheduleKey(_ name: String) -> TaskKey {
        // No label has the number 0, so that no key of a task's options is the same.
        TaskKey(scope: .children(of: .none), text: Self.schedulePrefix + name, secret: keySecret)
    }

    /// The label that a schedule spawns under; nil when no handler is registered for it.
    private func label(of definition: Schedule.Definition) -> Label? {
        store.names.first { $0.name == definition.label }.flatMap { types.runner(of: $0.label) == nil ? nil : $0.label }
    }

    /// Reads the rules of the time zone, on a thread that may block.
    func source(_ recurrence: Recurrence, start: Int64) async throws(SchedulerError) -> TickSource {
        let result = await Task.detached(executorPreference: threads) { [timeZoneFiles] in
            Result { () throws(SchedulerError) in
                try TickSource(recurrence, start: Timestamp(milliseconds: start), timeZoneFiles)
            }
        }.value
        return try result.get()
    }

    /// Takes over the schedules that the store has.
    ///
    /// - Throws: when a time zone may be read later.
    func recoverSchedules() async throws(StoreError) {
        for (name, value) in store.values(withPrefix: Self.schedulePrefix) {
            let name = String(name.dropFirst(Self.schedulePrefix.count))
            guard let schedule = try? Schedule(encoded: value) else {
                logger.error("schedule \"\(name)\" is in a form that this version does not know; it rests")
                continue
            }
            var source: TickSource?
            if label(of: schedule.definition) != nil {
                do { source = try await self.source(schedule.definition.recurrence, start: schedule.start) } catch {
                    if let cause = error.cause, cause.isTransient { throw cause }
                }
            }
            if source == nil { logger.warning("schedule \"\(name)\" rests: its type or time zone is not known here") }
            let found = source
            schedules.withLock { book in
                book.set(name, to: schedule, found, now: clock.now)
                noteNextTick(book)
            }
        }
    }
}

extension CoreState {
    /// Whether a schedule is due. If so, the caller must look at once.
    mutating func takeTick() -> Bool {
        guard let nextTick, nextTick <= dispatcher.now else { return false }
        self.nextTick = nil
        dispatcher.questionsUnderWay += 1
        return true
    }
}

extension Schedule {
    /// In front of the bytes, should another form come.
    private static let version: UInt8 = 1

    func encoded() throws -> [UInt8] {
        var writer = ByteWriter()
        writer.append(Self.version)
        try BinaryCodec.encode(self, into: &writer)
        return writer.bytes
    }

    init(encoded bytes: [UInt8]) throws {
        guard bytes.first == Self.version else { throw AttributeError(description: "unknown version") }
        self = try BinaryCodec.decode(Schedule.self, from: bytes.span.extracting(1...).bytes)
    }
}

extension TickSource {
    /// Blocking: reads the rules of the recurrence's time zone.
    init(_ recurrence: Recurrence, start: Timestamp, _ files: any FileSystem) throws(SchedulerError) {
        var zone = TimeZoneRules.utc
        if case .cron(_, let name) = recurrence.rule { zone = try TimeZoneRules(named: name, fileSystem: files) }
        self.init(recurrence, zone: zone, start: start)
    }
}
