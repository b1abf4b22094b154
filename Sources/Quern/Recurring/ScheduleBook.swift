// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernStore

/// All schedules, and which is due next. A plain state machine: no clock, no I/O.
struct ScheduleBook: Sendable {
    private struct Entry: Sendable {
        var schedule: Schedule
        /// Nil while its type is not registered: its ticks are missed.
        var source: TickSource?
        var number: UInt64
    }

    private struct Due: Comparable, Sendable {
        var time: Timestamp
        var number: UInt64
        var name: String

        static func < (left: Due, right: Due) -> Bool { (left.time, left.number) < (right.time, right.number) }
    }

    /// What a schedule spawns now.
    struct Firing: Sendable {
        var name: String
        /// As it is to be stored together with what is spawned.
        var schedule: Schedule
        /// As it was, should that fail.
        var old: Schedule
        var ticks: [Timestamp]
    }

    private var entries: [String: Entry] = [:]
    /// Entries of schedules that were replaced are passed over: their numbers are not the current ones.
    private var heap = Heap<Due>()
    private var nextNumber: UInt64 = 0

    var nextDue: Timestamp? { heap.min?.time }

    subscript(name: String) -> Schedule? { entries[name]?.schedule }

    var all: [(name: String, schedule: Schedule)] {
        entries.map { ($0.key, $0.value.schedule) }.sorted { $0.name < $1.name }
    }

    /// When a schedule spawns next; nil for never, as far as is known.
    func nextDue(of name: String, now: Timestamp) -> Timestamp? {
        entries[name].flatMap { entry in entry.source.flatMap { entry.schedule.nextDue($0, now: now) } }
    }

    /// Adds or replaces a schedule.
    mutating func set(_ name: String, to schedule: Schedule, _ source: TickSource?, now: Timestamp) {
        nextNumber += 1
        entries[name] = Entry(schedule: schedule, source: source, number: nextNumber)
        if let due = source.flatMap({ schedule.nextDue($0, now: now) }) {
            heap.insert(Due(time: due, number: nextNumber, name: name))
        }
        dropStale()
    }

    mutating func remove(_ name: String) {
        entries[name] = nil
        dropStale()
    }

    private mutating func dropStale() {
        while let first = heap.min, entries[first.name]?.number != first.number { heap.removeMin() }
    }

    /// What is due by now.
    ///
    /// - Parameter isBusy: whether the task of an earlier tick of a schedule has not ended.
    mutating func takeDue(at now: Timestamp, isBusy: (String) -> Bool = { _ in false }) -> [Firing] {
        var firings: [Firing] = []
        while let first = heap.min, first.time <= now {
            heap.removeMin()
            guard let entry = entries[first.name], entry.number == first.number, let source = entry.source else {
                continue
            }
            var schedule = entry.schedule
            let ticks = schedule.takeDue(source, isBusy: isBusy(first.name), now: now)
            let isLeft = schedule.nextDue(source, now: now).map { $0 <= now } ?? false
            set(first.name, to: schedule, source, now: now)
            firings.append(Firing(name: first.name, schedule: schedule, old: entry.schedule, ticks: ticks))
            // The rest of a long list comes with the next look, behind the others.
            if isLeft { break }
        }
        return firings
    }
}
