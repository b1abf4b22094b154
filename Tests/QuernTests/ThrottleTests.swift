// SPDX-License-Identifier: Apache-2.0
import Metrics
import MetricsTestKit
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Pressure and what is held back for it (T16)", .timeLimit(.minutes(20)))
struct ThrottleTests {
    private func makeTest(
        _ sources: [any PressureSource], interval: Duration = .seconds(1), aging: Duration? = nil,
        metrics: any MetricsFactory = MetricsSystem.factory, _ register: (inout Registry) throws -> Void
    ) async throws -> TestScheduler {
        func configure(_ configuration: inout TaskScheduler.Configuration) {
            configuration.pressureSources = sources
            configuration.pressureInterval = interval
            configuration.aging = aging
            configuration.name = "q"
            configuration.metrics = metrics
        }
        return try await TestScheduler(configure: configure, register)
    }

    @Test("A step holds from its pressure on, and until the pressure has fallen further")
    func hysteresis() {
        var throttle = Throttle(
            ThrottlePolicy([
                .init(from: 0.8, downTo: 0.4, priority: 100, concurrency: 0.25),
                .init(from: 0.5, priority: 192),
            ]))
        let looks: [(pressure: Double, isNews: Bool, priority: UInt8?, workers: Int)] = [
            (0.49, false, nil, 8), (0.5, true, 192, 8), (0.45, false, 192, 8), (0.41, false, 192, 8),
            (0.4, true, nil, 8), (0.79, true, 192, 8), (0.8, true, 100, 2), (0.5, false, 100, 2),
            (0.41, false, 100, 2), (0.39, true, nil, 8), (1, true, 100, 2), (0, true, nil, 8),
        ]
        for look in looks {
            let isNews = throttle.note(look.pressure)
            #expect(isNews == look.isNews, "\(look)")
            #expect(throttle.heldPriority == look.priority, "\(look)")
            #expect(throttle.limit(8) == look.workers && throttle.limit(1) == 1, "\(look)")
        }
    }

    @Test("Tasks are held back by whether their number is that of a step or larger, all 256 of them")
    func classes() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let steps = (0..<random.below(6)).map { _ in
                ThrottlePolicy.Step(
                    from: Double(random.below(11)) / 10, priority: random.chance(4, in: 5) ? random.pick(0...255) : nil)
            }
            var throttle = Throttle(ThrottlePolicy(steps))
            for _ in 0..<10 {
                _ = throttle.note(Double(random.below(11)) / 10)
                for priority in 0...255 as ClosedRange<UInt8> {
                    let isHeld = throttle.heldPriority.map { priority >= $0 } ?? false
                    #expect(throttle.holds(throttle.level(of: priority)) == isHeld, "seed \(seed)")
                }
            }
        }
    }

    @Test("By default the best tasks always run, and those of the default priority until late")
    func defaults() {
        var throttle = Throttle(.default)
        _ = throttle.note(0.89)
        #expect(throttle.heldPriority == 129)
        _ = throttle.note(1)
        #expect(throttle.heldPriority == 128)
        #expect(ThrottlePolicy.Step(from: .nan, downTo: 7, concurrency: -1).release == 1)
        #expect(ThrottlePolicy.Step(from: 0.05).release == 0)
    }

    @Test("What the kernel tells of stalls is read, and anything else is no pressure")
    func stalls() {
        let text = "some avg10=12.50 avg60=0.80 avg300=0.21 total=123\nfull avg10=90.00 avg60=0 avg300=0 total=1\n"
        #expect(PressureStall.stalledShare(in: text) == 0.125)
        for other in ["", "some", "some avg10=", "some avg10=x", "some avg10=101", "some avg10=nan", "full avg10=5"] {
            #expect(PressureStall.stalledShare(in: other) == nil, "\(other)")
        }
        let now = Timestamp(milliseconds: 0)
        #expect(PressureStall(name: "none", path: "/nonexistent/io.pressure").pressure(at: now) == nil)
        for resource in PressureStall.Resource.allCases {
            let value = PressureStall(resource).pressure(at: now)
            #expect(value.map { (0...1).contains($0) } ?? true)
        }
    }

    @Test("Under pressure tasks wait by their priority, and start again at the first reading after it has fallen")
    func throttles() async throws {
        let order = Order()
        let (disk, queue) = (ManualPressure("disk", 0.95), ManualPressure("queue", 0.1))
        let sources: [any PressureSource] = [queue, disk, ComputedPressure("broken") { nil }]
        let test = try await makeTest(sources, interval: .seconds(5)) { $0.register(StepHandler.noting(in: order)) }
        let scheduler = test.scheduler
        for (number, priority) in [(1, 200), (2, 128), (3, 127), (4, 0)] as [(Int, UInt8)] {
            _ = try await scheduler.submit(Step(number: number), options: TaskOptions(priority: priority))
        }
        await test.runUntilIdle()
        #expect(Set(order.numbers) == [3, 4])
        let pressure = scheduler.pressure
        #expect(pressure.value == 0.95 && pressure.heldPriority == 128)
        #expect(pressure.readings.map(\.source) == ["queue", "disk", "broken"])
        #expect(pressure.readings.map(\.value) == [0.1, 0.95, nil])
        #expect(scheduler.statistics.ready == 2 && scheduler.statistics.throttled == 2)

        disk.set(0.6)
        await test.advance(by: .seconds(4))
        #expect(Set(order.numbers) == [3, 4])
        await test.advance(by: .seconds(1))
        #expect(order.numbers.dropFirst(2) == [2])
        #expect(scheduler.pressure.heldPriority == 192 && scheduler.statistics.throttled == 1)
        disk.set(nil)
        let last = await scheduler.readPressure()
        #expect(last.value == 0.1 && last.heldPriority == nil)
        await test.runUntilIdle()
        #expect(order.numbers.dropFirst(2) == [2, 1] && scheduler.statistics.throttled == 0)
        try await test.stop()
    }

    @Test("Another priority counts, waiting long does not, and what is held back can be cancelled")
    func ownPriority() async throws {
        let order = Order()
        let source = ManualPressure("disk", 0.6)
        let test = try await makeTest([source], aging: .seconds(1)) { $0.register(StepHandler.noting(in: order)) }
        let handles = try await test.scheduler.submit(
            contentsOf: (0..<3).map { Step(number: $0) }, options: TaskOptions(priority: 200))
        await test.advance(by: .seconds(300))
        #expect(order.numbers.isEmpty)
        try await test.scheduler.setPriority(10, of: handles[1].id)
        try await test.scheduler.cancel(handles[2].id)
        await test.runUntilIdle()
        #expect(order.numbers == [1])
        #expect(try await handles[2].outcome().kind == .cancelled)
        try await test.stop()
    }

    @Test("A finalize is held back as an execute is, and a parent waits for held children without a worker")
    func parents() async throws {
        let source = ManualPressure("disk")
        let journal = Journal()
        let test = try await makeTest([source]) {
            $0.register(
                StepHandler { step, context in
                    if step.number == 0 {
                        source.set(0.6)
                        context.core.perform { $0.dispatcher.questionsUnderWay += 1 }
                        await context.core.readPressure()
                    }
                    journal.note("step")
                    return 1
                })
            $0.register(
                PlanHandler(
                    onExecute: { plan, context in
                        let priority: UInt8 = plan.children == 1 ? 1 : 250
                        try context.spawnChildren(
                            (0..<plan.children).map { Step(number: $0) }, options: TaskOptions(priority: priority))
                    }, onFinalize: { _ in journal.note("finalize") }))
        }
        let worse = try await test.scheduler.submit(Plan(children: 1), options: TaskOptions(priority: 200))
        await test.runUntilIdle()
        #expect(journal.all == ["step": 1], "its child has the pressure rise")
        #expect(test.scheduler.statistics.throttled == 1)
        let best = try await test.scheduler.submit(Plan(children: 3), options: TaskOptions(priority: 5))
        await test.runUntilIdle()
        #expect(journal.all == ["step": 1])
        let statistics = test.scheduler.statistics
        #expect(statistics.throttled == 4 && statistics.waitingParents == 2 && statistics.running == 0)
        source.set(0)
        await test.scheduler.readPressure()
        await test.runUntilIdle()
        #expect(try await worse.memo().completed == 1)
        // The first of the three has the pressure rise again.
        #expect(journal.all == ["step": 2, "finalize": 1])
        source.set(0)
        await test.scheduler.readPressure()
        #expect(try await best.memo().completed == 3)
        try await test.stop()
    }

    @Test("Under pressure fewer handlers run at a time, one at least, and all of them again afterwards")
    func fewerWorkers() throws {
        var limits = Dispatcher.Limits(concurrency: 8)
        limits.throttle = ThrottlePolicy([.init(from: 0.5, concurrency: 0.25)])
        var dispatcher = Dispatcher(facts: [TypeFacts()], limits: limits)
        dispatcher.isRunning = true
        var isNews = dispatcher.pressureChanged(to: 0.5)
        #expect(isNews)
        for id in 1...20 { dispatcher.spawned(.test(UInt64(id), count: 1, parent: 0)) }
        var starts = dispatcher.takeEffects().starts
        #expect(starts.count == 2)
        isNews = dispatcher.pressureChanged(to: 0)
        #expect(isNews)
        starts += dispatcher.takeEffects().starts
        #expect(starts.count == 8)
        for start in starts {
            let pull = dispatcher.next(for: start.worker, at: start.place, isFirst: true)
            #expect(pull?.claims.claimNext() == 0)
        }
        isNews = dispatcher.pressureChanged(to: 1)
        #expect(isNews)
        var ended = 0
        for start in starts {
            dispatcher.finished(start.worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
            if dispatcher.next(for: start.worker, at: start.place) == nil { ended += 1 }
        }
        #expect(ended == 6 && dispatcher.busyWorkers == 2)
    }

    @Test("A clock that is turned back does not put off the next reading")
    func turnedBack() async throws {
        let order = Order()
        let source = ManualPressure("disk", 0.6)
        let test = try await makeTest([source]) { $0.register(StepHandler.noting(in: order)) }
        _ = try await test.scheduler.submit(Step(number: 1), options: TaskOptions(priority: 200))
        await test.runUntilIdle()
        source.set(0)
        test.clock.set(Timestamp(milliseconds: test.clock.now.rawValue - 3_600_000))
        await test.runUntilIdle()
        #expect(order.numbers == [1])
        try await test.stop()
    }

    @Test("Metrics tell the readings and what is held back")
    func metrics() async throws {
        let metrics = TestMetrics()
        let sources = [ManualPressure("disk", 0.8), ManualPressure("lost")]
        let test = try await makeTest(sources, metrics: metrics) { $0.register(StepHandler()) }
        await test.runUntilIdle()
        let disk = try metrics.expectGauge("quern.pressure", [("queue", "q"), ("source", "disk")])
        #expect(disk.lastValue == 0.8)
        #expect(try metrics.expectGauge("quern.pressure", [("queue", "q"), ("source", "lost")]).lastValue == nil)
        #expect(try metrics.expectGauge("quern.throttle.priority", [("queue", "q")]).lastValue == 129)
        #expect(try metrics.expectGauge("quern.throttle.concurrency", [("queue", "q")]).lastValue == 1)
        try await test.stop()
    }

    @Test("Without sources nobody is asked, and no task is told apart by its priority")
    func off() async throws {
        let scheduler = try await idleScheduler { $0.register(StepHandler()) }
        let pressure = await scheduler.readPressure()
        #expect(pressure == SchedulerPressure(value: 0, readings: [], heldPriority: nil, concurrency: 4))
        #expect(scheduler.core.read { $0.dispatcher.throttle.bounds.isEmpty && $0.nextReading == nil })
        try await scheduler.close()
    }
}
