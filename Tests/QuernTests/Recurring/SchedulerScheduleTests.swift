// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Schedules and pauses in a scheduler", .timeLimit(.minutes(30)))
struct SchedulerScheduleTests {
    private final class Ticks: Sendable {
        private let state = Mutex<[Int64]>([])
        func note(_ time: Timestamp?) { state.withLock { $0.append(time?.rawValue ?? -1) } }
        var all: [Int64] { state.withLock { $0 } }
    }

    private func handler(_ ticks: Ticks) -> StepHandler {
        StepHandler { step, context in
            ticks.note(context.scheduledFor)
            return Int64(step.number)
        }
    }

    private static let start = Timestamp(milliseconds: 1_000_000)

    @Test("T16: ticks come on time, across restarts, each once, and missed ones as was asked")
    func restarts() async throws {
        for (missed, overlaps) in [(MissedTicks.latest, true), (.all, true), (.skip, true), (.all, false)] {
            let ticks = Ticks()
            let first = try await TestScheduler(now: Self.start) { $0.register(handler(ticks)) }
            try await first.scheduler.schedule(
                "s", Step(number: 1), .every(.seconds(60)), missed: missed, overlaps: overlaps)
            await first.advance(by: .seconds(150))
            #expect(ticks.all == [1_060_000, 1_120_000])
            try await first.stop()

            // Ten minutes and a half later; the same call again changes nothing.
            let later = Timestamp(milliseconds: Self.start.rawValue + 780_000 + 65_000)
            let second = try await TestScheduler(files: first.files, now: later) { $0.register(handler(ticks)) }
            try await second.scheduler.schedule(
                "s", Step(number: 1), .every(.seconds(60)), missed: missed, overlaps: overlaps)
            await second.runUntilIdle()
            let made: [Int64]
            switch (missed, overlaps) {
            case (.latest, _), (_, false): made = [1_840_000]
            case (.all, true): made = (3...14).map { 1_000_000 + $0 * 60_000 }
            case (.skip, _): made = [1_840_000]
            }
            #expect(ticks.all == [1_060_000, 1_120_000] + made, "\(missed) \(overlaps)")
            await second.advance(by: .seconds(60))
            #expect(ticks.all.last == 1_900_000)
            #expect(second.scheduler.schedules.map(\.nextDue) == [Timestamp(milliseconds: 1_960_000)])
            try await second.stop()
        }
    }

    @Test("T16: without overlapping no tick piles up on one that has not ended")
    func pileUp() async throws {
        let ticks = Ticks()
        let test = try await TestScheduler(now: Self.start) {
            $0.register(
                StepHandler { _, context in
                    ticks.note(context.scheduledFor)
                    if context.attempt == 1 { throw Trouble("later") }
                    return 1
                }, retry: .constant(.seconds(200), attempts: 2))
        }
        try await test.scheduler.schedule("s", Step(number: 1), .every(.seconds(60)), limit: 2)
        await test.advance(by: .seconds(1000))
        // The first runs from 60 to 260 s, the next tick is at 300 s; then the limit is reached.
        #expect(ticks.all == [1_060_000, 1_060_000, 1_300_000, 1_300_000])
        #expect(test.scheduler.schedules.map(\.spawned) == [2])
        #expect(test.scheduler.schedules.map(\.nextDue) == [nil])
        #expect(try await test.scheduler.unschedule("s"))
        #expect(try await !test.scheduler.unschedule("s"))
        try await test.stop()
    }

    @Test("T6, T16: a crash at any moment neither loses a tick nor spawns one twice")
    func crashes() async throws {
        for seed in 0..<12 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let ticks = Ticks()
            let files = SimulatedFileSystem()
            var now = Self.start
            var current = files
            for round in 0..<4 {
                let test = try await TestScheduler(files: current, now: now) { $0.register(handler(ticks)) }
                if round == 0 {
                    try await test.scheduler.schedule(
                        "s", Step(number: 1), .every(.seconds(10)), missed: .all, overlaps: true)
                }
                await test.advance(by: .milliseconds(Int64.random(in: 1...40_000, using: &generator)))
                now = test.clock.now
                current = test.files.crash(keeping: .random(seed: generator.next()))
                try? await test.stop()
            }
            // A handler may run again, since its outcome was not durable; a tick may not be spawned again.
            let expected = (1...(now.rawValue - Self.start.rawValue) / 10_000).map { 1_000_000 + $0 * 10_000 }
            let test = try await TestScheduler(files: current, now: now) { $0.register(handler(ticks)) }
            await test.runUntilIdle()
            let counts = try test.scheduler.core.store.children(of: .none).counts
            #expect(Set(ticks.all) == Set(expected), "seed \(seed)")
            #expect(counts == OutcomeCounts(.completed, count: UInt64(expected.count)), "seed \(seed)")
            try await test.stop()
        }
    }

    @Test("A schedule of a type that is not registered rests, and goes on when it is again")
    func unregistered() async throws {
        let ticks = Ticks()
        let first = try await TestScheduler(now: Self.start) { $0.register(handler(ticks)) }
        try await first.scheduler.schedule("s", Step(number: 1), .every(.seconds(60)))
        try await first.stop()
        let second = try await TestScheduler(files: first.files, now: Self.start) { _ in }
        await second.advance(by: .seconds(90))
        #expect(second.scheduler.schedules.map(\.nextDue) == [nil])
        try await second.stop()
        let third = try await TestScheduler(files: first.files, now: second.clock.now) { $0.register(handler(ticks)) }
        await third.runUntilIdle()
        #expect(ticks.all == [1_060_000])
        try await third.stop()
    }

    /// A time zone file of the first version that says one hour east of Greenwich.
    private static let zone: [UInt8] =
        Array("TZif".utf8) + Array(repeating: 0, count: 35) + [1, 0, 0, 0, 4] + [0, 0, 14, 16, 0, 0]
        + Array("CET\0".utf8)

    private func zoned(
        _ files: SimulatedFileSystem, _ zones: SimulatedFileSystem, _ now: Timestamp, _ ticks: Ticks
    ) async throws -> TestScheduler {
        try await TestScheduler(
            files: files, now: now, configure: { $0.timeZoneFiles = zones }, { $0.register(handler(ticks)) })
    }

    @Test("S4, T16: a process short of descriptors says so when a time zone is to be read, and loses no schedule")
    func zoneWithoutDescriptor() async throws {
        let (ticks, zones, midnight) = (Ticks(), SimulatedFileSystem(), Timestamp(milliseconds: 0))
        try zones.place(Self.zone, at: "/usr/share/zoneinfo/Test/Zone")
        var short = FaultPlan()
        short.fail(.open, at: 1, with: .tooManyOpenFiles, .fromThenOn)
        let daily = try Recurrence.cron("0 3 * * *", timeZone: "Test/Zone")
        let first = try await zoned(SimulatedFileSystem(), zones, midnight, ticks)
        zones.faults = short
        let refused = await #expect(throws: SchedulerError.self) {
            try await first.scheduler.schedule("s", Step(number: 1), daily)
        }
        #expect(refused?.cause?.isTransient == true && first.scheduler.schedules.isEmpty)
        zones.faults = FaultPlan()
        try await first.scheduler.schedule("s", Step(number: 1), daily)
        try await first.stop()

        zones.faults = short
        let error = await #expect(throws: SchedulerError.self) { try await zoned(first.files, zones, midnight, ticks) }
        #expect(error?.cause?.isTransient == true)
        zones.faults = FaultPlan()
        let second = try await zoned(first.files, zones, midnight, ticks)
        await second.advance(by: .seconds(86_400))
        #expect(ticks.all == [2 * 3_600_000])
        try await second.stop()
    }

    @Test("T16: a schedule whose time zone was not known goes on at the same call when it is")
    func zoneComesLater() async throws {
        let (ticks, zones, midnight) = (Ticks(), SimulatedFileSystem(), Timestamp(milliseconds: 0))
        try zones.place(Self.zone, at: "/usr/share/zoneinfo/Test/Zone")
        let daily = try Recurrence.cron("0 3 * * *", timeZone: "Test/Zone")
        let first = try await zoned(SimulatedFileSystem(), zones, midnight, ticks)
        try await first.scheduler.schedule("s", Step(number: 1), daily)
        try await first.stop()

        try zones.remove("/usr/share/zoneinfo/Test/Zone")
        let second = try await zoned(first.files, zones, midnight, ticks)
        await second.advance(by: .seconds(86_400))
        #expect(second.scheduler.schedules.map(\.nextDue) == [nil])
        let error = await #expect(throws: SchedulerError.self) {
            try await second.scheduler.schedule("s", Step(number: 1), daily)
        }
        #expect(error?.code == .unknownTimeZone && ticks.all.isEmpty)
        try zones.place(Self.zone, at: "/usr/share/zoneinfo/Test/Zone")
        try await second.scheduler.schedule("s", Step(number: 1), daily)
        await second.runUntilIdle()
        // What it was late for counts as missed, not as never due.
        #expect(ticks.all == [2 * 3_600_000])
        try await second.stop()
    }

    @Test("Bad schedules are refused with a typed error")
    func refused() async throws {
        let test = try await TestScheduler { $0.register(StepHandler()) }
        func code(_ body: () async throws(SchedulerError) -> Void) async -> SchedulerError.Code? {
            do { try await body() } catch { return error.code }
            return nil
        }
        let step = Step(number: 1)
        let name = String(repeating: "n", count: 201)
        let scheduler = test.scheduler
        let cron = try CronExpression("* * * * *")
        let noZone = await code { () throws(SchedulerError) in
            try await scheduler.schedule("s", step, .cron(cron, timeZone: "Mars/Olympus"))
        }
        #expect(noZone == .unknownTimeZone)
        #expect(
            await code { () throws(SchedulerError) in
                try await scheduler.schedule(name, step, .every(.seconds(1)))
            } == .invalidOptions)
        #expect(
            await code { () throws(SchedulerError) in
                try await scheduler.schedule("s", step, .every(.seconds(1)), options: TaskOptions(key: "k"))
            } == .invalidOptions)
        #expect(
            await code { () throws(SchedulerError) in
                try await scheduler.schedule("s", Plan(children: 1), .every(.seconds(1)))
            } == .notRegistered)
        #expect(
            await code { () throws(SchedulerError) in
                let options = TaskOptions(dependencies: [TaskDependency(TaskID(999))])
                try await scheduler.schedule("s", step, .every(.seconds(1)), options: options)
            } == .invalidOptions)
        #expect(scheduler.schedules.isEmpty)
        try await test.stop()
    }

    @Test("A schedule that could not be stored is none, and the same call stores it when it can be")
    func notStored() async throws {
        let ticks = Ticks()
        let first = try await TestScheduler(
            now: Self.start, configure: { $0.store.logReserveBytes = 0 }, { $0.register(handler(ticks)) })
        var faults = FaultPlan()
        faults.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "log-")
        first.files.faults = faults
        await #expect(throws: SchedulerError.self) {
            try await first.scheduler.schedule("s", Step(number: 1), .every(.seconds(60)))
        }
        #expect(first.scheduler.schedules.isEmpty)
        first.files.faults = FaultPlan()
        await first.advance(by: .seconds(90))
        #expect(ticks.all.isEmpty)
        try await first.scheduler.schedule("s", Step(number: 1), .every(.seconds(60)))
        let image = first.files.crash(keeping: .dropAll)
        first.files.faults = faults
        await #expect(throws: SchedulerError.self) { try await first.scheduler.unschedule("s") }
        #expect(first.scheduler.schedules.count == 1)
        first.files.faults = FaultPlan()
        try await first.stop()
        let second = try await TestScheduler(files: image, now: Self.start) { $0.register(handler(ticks)) }
        #expect(second.scheduler.schedules.map(\.name) == ["s"])
        try await second.stop()
    }

    @Test("A schedule too large for the store is refused, and the scheduler goes on")
    func tooLarge() async throws {
        let ticks = Ticks()
        let test = try await TestScheduler(now: Self.start) { $0.register(handler(ticks)) }
        let minutes = Array(repeating: "0", count: 40_000).joined(separator: ",")
        await #expect(throws: (any Error).self) {
            try await test.scheduler.schedule("s", Step(number: 1), try .cron(minutes + " * * * *"))
        }
        await test.advance(by: .seconds(7200))
        #expect(ticks.all.isEmpty)
        _ = try await test.scheduler.submit(Step(number: 1))
        await test.runUntilIdle()
        #expect(ticks.all == [-1])
        try await test.stop()
    }

    @Test("T16: a clock that was turned back by more than a correction goes on with its ticks", arguments: [1, 10])
    func turnedBack(hours: Int64) async throws {
        let ticks = Ticks()
        let test = try await TestScheduler(now: Self.start) { $0.register(handler(ticks)) }
        try await test.scheduler.schedule("i", Step(number: 1), .every(.seconds(60)))
        await test.advance(by: .seconds(hours * 3600))
        try await test.scheduler.schedule("c", Step(number: 1), .cron("* * * * *"))
        await test.advance(by: .seconds(120))
        let count = ticks.all.count
        test.clock.set(Timestamp(milliseconds: test.clock.now.rawValue - hours * 3_600_000))
        await test.runUntilIdle()
        await test.advance(by: .seconds(180))
        #expect(hours < 3 ? ticks.all.count == count : ticks.all.count >= count + 6)
        try await test.stop()
    }

    @Test("T16: pauses survive the process and end by themselves")
    func pauses() async throws {
        let journal = Journal()
        let first = try await TestScheduler(now: Self.start) {
            $0.register(StepHandler.noting(in: journal))
            $0.register(PlanHandler())
        }
        let end = Timestamp(milliseconds: Self.start.rawValue + 60_000)
        try await first.scheduler.pause(.type(Step.type), until: end)
        try await first.scheduler.pause(.group("g"))
        try await first.scheduler.pause(.everything)
        try await first.scheduler.resume(.everything)
        _ = try await first.scheduler.submit(Step(number: 1))
        await first.runUntilIdle()
        #expect(journal.count("step") == 0)
        try await first.stop()

        let second = try await TestScheduler(files: first.files, now: Self.start) {
            $0.register(StepHandler.noting(in: journal))
            $0.register(PlanHandler())
        }
        #expect(
            second.scheduler.pauses == [
                Pause(scope: .group("g"), end: Timestamp(milliseconds: .max)), Pause(scope: .type(Step.type), end: end),
            ])
        _ = try await second.scheduler.submit(Step(number: 2), options: TaskOptions(group: "g"))
        await second.advance(by: .milliseconds(59_999))
        #expect(journal.count("step") == 0)
        await second.advance(by: .milliseconds(1))
        #expect(journal.count("step") == 1)
        #expect(second.scheduler.pauses.count == 1)
        try await second.scheduler.resume(.group("g"))
        await second.runUntilIdle()
        #expect(journal.count("step") == 2)
        let error = await #expect(throws: SchedulerError.self) { try await second.scheduler.pause(.type("nobody")) }
        #expect(error?.code == .notRegistered)
        try await second.stop()
    }
}
