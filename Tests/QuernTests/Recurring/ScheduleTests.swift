// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Schedules: which ticks are spawned, whatever was missed", .timeLimit(.minutes(15)))
struct ScheduleTests {
    private func schedule(
        _ recurrence: Recurrence, _ missed: MissedTicks, limit: UInt64? = nil, at start: Int64 = 0
    ) -> Schedule {
        let definition = Schedule.Definition(
            label: "t", payload: [], priority: 128, attributes: [], recurrence: recurrence, missed: missed,
            overlaps: true, limit: limit)
        return Schedule(definition, at: Timestamp(milliseconds: start))
    }

    private func source(_ recurrence: Recurrence, start: Int64 = 0) -> TickSource {
        TickSource(recurrence, zone: .utc, start: Timestamp(milliseconds: start))
    }

    private static let recurrences: [Recurrence] =
        [.every(.milliseconds(1)), .every(.seconds(61)), .every(.seconds(86_400))]
        + ["*/7 * * * *", "30 2 * * MON"].compactMap { try? .cron($0) }

    @Test("T16: with `all` each tick comes once and in order, whenever somebody looks", arguments: recurrences)
    func all(recurrence: Recurrence) throws {
        var generator = SeededGenerator(seed: 42)
        let source = source(recurrence)
        var schedule = schedule(recurrence, .all)
        var (now, ticks): (Int64, [Timestamp]) = (0, [])
        for _ in 0..<300 {
            now += Int64.random(in: 0...[100, 10_000, 4_000_000].randomElement(using: &generator)!, using: &generator)
            ticks += schedule.takeDue(source, now: Timestamp(milliseconds: now))
            // As the store gives it back.
            var writer = ByteWriter()
            try BinaryCodec.encode(schedule, into: &writer)
            schedule = try BinaryCodec.decode(Schedule.self, from: writer.bytes.span.bytes)
        }
        var expected: [Timestamp] = []
        var tick = source.next(after: Timestamp(milliseconds: 0))
        while let due = tick, expected.count < ticks.count {
            expected.append(due)
            tick = source.next(after: due)
        }
        #expect(ticks == expected)
        #expect(schedule.spawned == UInt64(ticks.count))
    }

    @Test("T16: `latest` makes up for many with the last one, `skip` with none", arguments: recurrences.dropFirst())
    func latest(recurrence: Recurrence) throws {
        let source = source(recurrence)
        let now = Timestamp(milliseconds: 90 * 86_400_000 + 12_345)
        var expected: Timestamp?
        var tick = source.next(after: Timestamp(milliseconds: 0))
        while let due = tick, due <= now {
            expected = due
            tick = source.next(after: due)
        }
        var latest = schedule(recurrence, .latest)
        #expect(latest.takeDue(source, now: now) == [try #require(expected)])
        #expect(latest.takeDue(source, now: now) == [])
        #expect(latest.nextDue(source, now: now) == tick)
        var skip = schedule(recurrence, .skip)
        let wasPunctual = now.rawValue - expected!.rawValue <= Schedule.punctuality
        #expect(skip.takeDue(source, now: now) == (wasPunctual ? [expected!] : []))
        #expect(skip.nextDue(source, now: now) == tick)
    }

    @Test("T16: no more than the limit are spawned")
    func limit() {
        var limited = schedule(.every(.seconds(1)), .all, limit: 5)
        let source = source(.every(.seconds(1)))
        #expect(limited.takeDue(source, now: Timestamp(milliseconds: 3000)).count == 3)
        #expect(limited.takeDue(source, now: Timestamp(milliseconds: 60_000)).count == 2)
        #expect(limited.takeDue(source, now: Timestamp(milliseconds: 90_000)).isEmpty)
        #expect(limited.nextDue(source, now: Timestamp(milliseconds: 90_000)) == nil)
    }

    @Test("T17: a clock turned back a little repeats nothing, turned back far is followed")
    func clockTurnedBack() {
        let recurrence = Recurrence.every(.seconds(60))
        let source = source(recurrence)
        var schedule = schedule(recurrence, .latest)
        let day: Int64 = 86_400_000
        #expect(schedule.takeDue(source, now: Timestamp(milliseconds: day)).count == 1)
        #expect(schedule.takeDue(source, now: Timestamp(milliseconds: day - 3_600_000)) == [])
        let back = Timestamp(milliseconds: day / 2)
        #expect(schedule.nextDue(source, now: back) == Timestamp(milliseconds: day / 2 + 60_000))
    }

    @Test("Times at both ends of the range do no harm")
    func extremes() {
        for recurrence in Self.recurrences {
            let source = source(recurrence, start: .min)
            _ = source.next(after: Timestamp(milliseconds: .max))
            _ = source.next(after: Timestamp(milliseconds: .min))
            var late = schedule(recurrence, .latest, at: .min)
            _ = late.takeDue(source, now: Timestamp(milliseconds: .max))
            _ = late.nextDue(source, now: Timestamp(milliseconds: .min))
        }
    }

    @Test("The book fires what is due, in the order of the times, and forgets what was replaced or removed")
    func book() {
        var book = ScheduleBook()
        let zero = Timestamp(milliseconds: 0)
        for (name, seconds) in [("a", 5), ("b", 3), ("c", 4)] {
            let recurrence = Recurrence.every(.seconds(seconds))
            book.set(name, to: schedule(recurrence, .latest), source(recurrence), now: zero)
        }
        book.remove("c")
        let slower = Recurrence.every(.seconds(7))
        book.set("a", to: schedule(slower, .latest), source(slower), now: zero)
        book.set("held", to: schedule(slower, .latest), nil, now: zero)
        #expect(book.nextDue == Timestamp(milliseconds: 3000))
        #expect(book.takeDue(at: Timestamp(milliseconds: 2999)).isEmpty)
        let firings = book.takeDue(at: Timestamp(milliseconds: 8000))
        #expect(firings.map(\.name) == ["b", "a"])
        #expect(firings.map(\.ticks) == [[Timestamp(milliseconds: 6000)], [Timestamp(milliseconds: 7000)]])
        for firing in firings { book.endChange(of: firing.name, to: firing.schedule, firing.source, now: zero) }
        #expect(book.nextDue == Timestamp(milliseconds: 9000))
        #expect(book.all.map(\.name) == ["a", "b", "held"])
    }

    @Test("A long list of missed ticks comes in parts, and a part that was not stored comes again")
    func parts() {
        var book = ScheduleBook()
        let recurrence = Recurrence.every(.seconds(1))
        book.set("a", to: schedule(recurrence, .all), source(recurrence), now: Timestamp(milliseconds: 0))
        var ticks: [Timestamp] = []
        var looks = 0
        let now = Timestamp(milliseconds: 1_000_000)
        while let due = book.nextDue, due <= now {
            let firings = book.takeDue(at: now)
            // One after the other: each is stored before the next is taken.
            #expect(book.takeDue(at: now).isEmpty && book.nextDue == nil)
            looks += 1
            guard let firing = firings.first else { return }
            if looks == 2 {
                let retry = now.advanced(by: .seconds(1))
                book.abandonChange(of: "a", notBefore: retry, now: now)
                #expect(book.takeDue(at: now).isEmpty && book.nextDue == retry)
                #expect(book.takeDue(at: retry).map(\.ticks) == [firing.ticks])
            }
            ticks += firing.ticks
            book.endChange(of: "a", to: firing.schedule, firing.source, now: now)
        }
        #expect(ticks == (1...1000).map { Timestamp(milliseconds: $0 * 1000) })
        #expect(book["a"]?.spawned == 1000)
        #expect(looks == 4)
    }
}
