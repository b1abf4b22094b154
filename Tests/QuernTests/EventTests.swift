// SPDX-License-Identifier: Apache-2.0
import MetricsTestKit
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Events, statistics, metrics, progress", .timeLimit(.minutes(20)))
struct EventTests {
    private func event(_ number: UInt64) -> TaskEvent {
        TaskEvent(kind: .spawned, task: TaskID(number), parent: .none, type: "t", time: Timestamp(milliseconds: 0))
    }

    @Test("A slow reader loses the oldest events and is told how many", arguments: [1, 2, 7, 100])
    func ring(capacity: Int) {
        var generator = SeededGenerator(seed: UInt64(capacity))
        var ring = EventRing(capacity: capacity)
        var (written, next): (UInt64, UInt64) = (0, 0)
        for _ in 0..<2000 {
            if Bool.random(using: &generator) {
                ring.append(event(written))
                written += 1
            } else if let read = ring.popFirst() {
                #expect(read.task == TaskID(next + read.missed))
                next += read.missed + 1
            } else {
                #expect(next == written)
            }
        }
        while let read = ring.popFirst() { next += read.missed + 1 }
        #expect(next == written)
    }

    @Test("What happens to tasks is told in order, and ends when it is durable")
    func story() async throws {
        let test = try await TestScheduler {
            $0.register(
                StepHandler { step, context in
                    context.report(completed: 3, of: 4)
                    if step.number == 1, context.attempt == 1 { throw Trouble("once") }
                    if step.number == 2 { throw PermanentError(reason: "no") }
                    return 1
                }, retry: .constant(.seconds(1), attempts: 2))
            $0.register(PlanHandler(), onChildFailure: .tolerate)
        }
        let events = test.scheduler.events()
        let plan = try await test.scheduler.submit(Plan(children: 3))
        await test.advance(by: .seconds(5))
        _ = try await plan.memo()
        try await test.stop()
        var told: [TaskID: [TaskEvent.Kind]] = [:]
        for await event in events {
            #expect(event.missed == 0)
            #expect(event.type == (event.task == plan.id ? Plan.type : Step.type))
            #expect(event.parent == (event.task == plan.id ? .none : plan.id))
            told[event.task, default: []].append(event.kind)
        }
        #expect(told[plan.id] == [.spawned, .started(attempt: 1), .waitsForChildren, .ended(.completed)])
        let steps = told.keys.filter { $0 != plan.id }.sorted().map { told[$0]! }
        let begin: [TaskEvent.Kind] = [.spawned, .started(attempt: 1), .progressed(completed: 3, of: 4)]
        #expect(steps[0] == begin + [.ended(.completed)])
        #expect(steps[1].prefix(3) == begin[...])
        guard case .retrying(attempt: 1, notBefore: let due) = steps[1][3] else {
            Issue.record("\(steps[1])")
            return
        }
        #expect(due == Timestamp(milliseconds: 1_700_000_001_000))
        #expect(
            Array(steps[1][4...])
                == [.started(attempt: 2), .progressed(completed: 3, of: 4), .ended(.completed)])
        #expect(steps[2] == begin + [.ended(.failed)])
    }

    @Test("The ends of a pull that one task holds up are told, whatever becomes of that task (T17)")
    func heldUp() async throws {
        let journal = Journal()
        let told = try await withScheduler(concurrency: 1) {
            $0.register(
                StepHandler { step, _ in
                    guard step.number == 1001 else { return 1 }
                    journal.note("hangs")
                    try await Task.sleep(for: .seconds(1000))
                    return 2
                })
        } _: { scheduler in
            // So that a pull takes several.
            for handle in try await scheduler.submit(contentsOf: (0..<640).map { Step(number: $0) }) {
                _ = try await handle.memo()
            }
            let events = scheduler.events()
            let handles = try await scheduler.submit(contentsOf: (1000..<1010).map { Step(number: $0) })
            try await journal.wait(for: "hangs")
            _ = try await handles[0].memo()
            _ = try await scheduler.cancel(handles[1].id)
            for handle in handles { _ = try await handle.outcome() }
            scheduler.core.stop(immediately: false)
            var ended: Set<TaskID> = []
            for await event in events { if case .ended = event.kind { ended.insert(event.task) } }
            #expect(handles.allSatisfy { ended.contains($0.id) })
            return ended.count
        }
        #expect(told == 10)
    }

    private static func count(_ events: TaskEvents) async -> Int64 {
        var count: Int64 = 0
        for await _ in events { count += 1 }
        return count
    }

    @Test("A handler that reads events to their end does not keep an orderly stop waiting, others hear its end (T17)")
    func readingHandlers() async throws {
        let journal = Journal()
        let holder = Mutex<TaskScheduler?>(nil)
        var others: TaskEvents?
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    guard let events = holder.withLock({ $0 })?.events() else { return 0 }
                    journal.note("reads")
                    // By itself, or in a Swift task of its own.
                    if step.number == 0 { return await Self.count(events) }
                    return await Task { await Self.count(events) }.value
                })
        } _: { scheduler in
            holder.withLock { $0 = scheduler }
            others = scheduler.events()
            for number in 0..<2 { _ = try await scheduler.submit(Step(number: number)) }
            try await journal.wait(for: "reads", count: 2)
        }
        var ends = 0
        for await event in try #require(others) where event.kind == .ended(.completed) { ends += 1 }
        #expect(ends == 2)
        // Who begins to read then gets the end at once.
        for await event in try #require(holder.withLock { $0 }).events() { Issue.record("\(event)") }
    }

    @Test("A handler that waits for an event of another scheduler goes on while its own stops")
    func otherScheduler() async throws {
        let journal = Journal()
        let outcome = Mutex<OutcomeKind?>(nil)
        let other = try await TestScheduler { $0.register(StepHandler()) }
        try await withScheduler {
            $0.register(
                StepHandler { _, _ in
                    let events = other.scheduler.events()
                    journal.note("reads")
                    for await event in events {
                        if case .ended(let kind) = event.kind { outcome.withLock { $0 = kind } }
                    }
                    return 0
                })
        } _: { scheduler in
            _ = try await scheduler.submit(Step(number: 0))
            try await journal.wait(for: "reads")
            scheduler.triggerGracefulShutdown()
            _ = try await other.scheduler.submit(Step(number: 1)).memo()
            await other.runUntilIdle()
            try await other.stop()
        }
        #expect(outcome.withLock { $0 } == .completed)
    }

    @Test("Who has stopped listening is forgotten")
    func unsubscribe() async throws {
        let test = try await TestScheduler { $0.register(StepHandler()) }
        do {
            let events = test.scheduler.events(of: [Plan.type])
            #expect(test.scheduler.core.events.isObserved)
            _ = events
        }
        #expect(!test.scheduler.core.events.isObserved)
        let events = test.scheduler.events()
        let reader = Task { for await _ in events {} }
        reader.cancel()
        await reader.value
        #expect(!test.scheduler.core.events.isObserved)
        try await test.stop()
        var iterator = test.scheduler.events().makeAsyncIterator()
        #expect(await iterator.next() == nil)
    }

    @Test("Statistics and metrics count each end and each retry once")
    func counts() async throws {
        let metrics = TestMetrics()
        let test = try await TestScheduler {
            $0.metrics = metrics
            $0.name = "q"
        } _: {
            $0.register(
                StepHandler { step, context in
                    if step.number % 4 == 1, context.attempt == 1 { throw Trouble("once") }
                    if step.number % 4 == 2 { throw PermanentError(reason: "no") }
                    if step.number % 4 == 3 { throw Trouble("always") }
                    return 1
                }, retry: .constant(.seconds(1), attempts: 2))
            $0.register(PlanHandler(), onChildFailure: .tolerate)
        }
        _ = try await test.scheduler.submit(Plan(children: 40))
        await test.advance(by: .seconds(5))
        let statistics = try #require(test.scheduler.statistics(of: Step.type))
        var expected = OutcomeCounts()
        expected.completed = 20
        expected.failed = 10
        expected.deadLettered = 10
        #expect(statistics.ended == expected)
        #expect(statistics.retries == 20)
        #expect(statistics.durations.count == 60)
        #expect(statistics.durations.maximum >= statistics.durations.p99)
        #expect(statistics.durations.p99 >= statistics.durations.median)
        #expect(test.scheduler.statistics(of: "nobody") == nil)
        #expect(test.scheduler.statisticsByType().map(\.type) == [Plan.type, Step.type])
        for (status, count) in ["completed": 20, "failed": 10, "deadLettered": 10, "retried": 20, "cancelled": 0] {
            let counter = try metrics.expectCounter(
                "quern.tasks", [("name", "test.step"), ("queue", "q"), ("status", status)])
            #expect(counter.totalValue == Int64(count), "\(status)")
        }
        let timer = try metrics.expectTimer("quern.tasks.duration", [("name", "test.step"), ("queue", "q")])
        #expect(timer.values.count == 60)
        try await test.stop()
    }

    @Test("The rate is that of the last seconds, whatever the clock does")
    func rate() {
        var meter = RateMeter()
        func at(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }
        #expect(meter.perSecond(at: at(0)) == 0)
        for second in 0..<30 { meter.add(UInt64(second < 20 ? 100 : 10), at: at(Int64(second))) }
        #expect(meter.perSecond(at: at(30)) == 10)
        meter.add(5, at: at(3))
        #expect(meter.perSecond(at: at(30)) == 10)
        #expect(meter.perSecond(at: at(35)) == 5.5)
        #expect(meter.perSecond(at: at(1000)) == 0)
        meter.add(1, at: Timestamp(milliseconds: .max))
        meter.add(1, at: Timestamp(milliseconds: .min))
        #expect(meter.perSecond(at: Timestamp(milliseconds: .max)) >= 0)
    }

    @Test("Two looks at a task tell how long it will take")
    func remaining() {
        func look(_ ended: UInt64, _ live: UInt64, at time: Int64, _ reported: ReportedProgress? = nil) -> TaskProgress
        {
            TaskProgress(
                isExecuted: true, liveChildren: live, counts: OutcomeCounts(.completed, count: ended),
                reported: reported, time: Timestamp(milliseconds: time))
        }
        #expect(look(30, 70, at: 3000).remaining(since: look(20, 80, at: 2000)) == .seconds(7))
        #expect(look(30, 70, at: 3000).remaining(since: look(30, 70, at: 2000)) == nil)
        #expect(look(100, 0, at: 3000).remaining(since: look(30, 70, at: 2000)) == .zero)
        #expect(look(0, 0, at: 0).fraction == nil)
        let half = ReportedProgress(completed: 50, total: 100)
        #expect(look(0, 0, at: 1000, half).remaining(since: look(0, 0, at: 0)) == .seconds(1))
        #expect(look(0, 0, at: 0, ReportedProgress(completed: 3)).fraction == nil)
    }
}
