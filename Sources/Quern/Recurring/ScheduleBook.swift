// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernStore

/// All schedules, and which is due next. A plain state machine: no clock, no I/O.
struct ScheduleBook: Sendable {
    private struct Entry: Sendable {
        var schedule: Schedule
        /// Nil while its type or time zone is not known: its ticks are missed.
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
        var source: TickSource
        var ticks: [Timestamp]
    }

    private var entries: [String: Entry] = [:]
    /// How many changes of a schedule are on their way to the store, its ticks among them. It does not tick meanwhile:
    /// behind its change a note of the tick would bring the old one back, and behind a tick that fails a later one
    /// would leave that out.
    private var changes: [String: Int] = [:]
    /// Entries of schedules that were replaced are passed over: their numbers are not the current ones.
    private var heap = Heap<Due>()
    private var nextNumber: UInt64 = 0

    var nextDue: Timestamp? { heap.min?.time }

    subscript(name: String) -> Schedule? { entries[name]?.schedule }

    /// Whether a schedule rests, since its type or time zone is not known.
    func rests(_ name: String) -> Bool { entries[name].map { $0.source == nil } ?? false }

    var all: [(name: String, schedule: Schedule)] {
        entries.map { ($0.key, $0.value.schedule) }.sorted { $0.name < $1.name }
    }

    /// When a schedule spawns next; nil for never, as far as is known.
    func nextDue(of name: String, now: Timestamp) -> Timestamp? {
        entries[name].flatMap { entry in entry.source.flatMap { entry.schedule.nextDue($0, now: now) } }
    }

    /// Adds or replaces a schedule.
    ///
    /// - Parameter retry: no tick comes before.
    mutating func set(
        _ name: String, to schedule: Schedule, _ source: TickSource?, notBefore retry: Timestamp? = nil, now: Timestamp
    ) {
        nextNumber += 1
        var schedule = schedule
        schedule.correct(now)
        entries[name] = Entry(schedule: schedule, source: source, number: nextNumber)
        if let due = source.flatMap({ schedule.nextDue($0, now: now) }) {
            heap.insert(Due(time: max(due, retry ?? due), number: nextNumber, name: name))
        }
        dropStale()
    }

    /// What a schedule rested for is known.
    mutating func wake(_ name: String, _ source: TickSource, now: Timestamp) {
        if rests(name), let schedule = self[name] { set(name, to: schedule, source, now: now) }
    }

    mutating func remove(_ name: String) {
        entries[name] = nil
        dropStale()
    }

    /// A change goes to the store.
    mutating func beginChange(of name: String) { changes[name, default: 0] += 1 }

    /// It is there.
    ///
    /// - Parameter schedule: nil when the schedule was removed.
    mutating func endChange(of name: String, to schedule: Schedule?, _ source: TickSource?, now: Timestamp) {
        countDown(name)
        if let schedule { set(name, to: schedule, source, now: now) } else { remove(name) }
    }

    /// It will never be there: the schedule stays as it is.
    ///
    /// - Parameter retry: no tick comes before.
    mutating func abandonChange(of name: String, notBefore retry: Timestamp? = nil, now: Timestamp) {
        countDown(name)
        if let entry = entries[name] { set(name, to: entry.schedule, entry.source, notBefore: retry, now: now) }
    }

    private mutating func countDown(_ name: String) {
        let left = (changes[name] ?? 1) - 1
        changes[name] = left > 0 ? left : nil
    }

    /// Finds anew what all wait for.
    mutating func lookAgain(now: Timestamp) {
        heap = Heap()
        for (name, entry) in entries.sorted(by: { $0.value.number < $1.value.number }) {
            set(name, to: entry.schedule, entry.source, now: now)
        }
    }

    private mutating func dropStale() {
        while let first = heap.min, entries[first.name]?.number != first.number { heap.removeMin() }
    }

    /// What is due by now. Each firing is a change of its schedule, to be ended or abandoned; what is left of a long
    /// list comes then, behind the others.
    ///
    /// - Parameter isBusy: whether the task of an earlier tick of a schedule has not ended.
    mutating func takeDue(at now: Timestamp, isBusy: (String) -> Bool = { _ in false }) -> [Firing] {
        var firings: [Firing] = []
        while let first = heap.min, first.time <= now {
            heap.removeMin()
            guard let entry = entries[first.name], entry.number == first.number, let source = entry.source,
                changes[first.name] == nil
            else { continue }
            var schedule = entry.schedule
            let ticks = schedule.takeDue(source, isBusy: isBusy(first.name), now: now)
            beginChange(of: first.name)
            firings.append(Firing(name: first.name, schedule: schedule, source: source, ticks: ticks))
        }
        return firings
    }
}
