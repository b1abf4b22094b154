// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Time to live (T10, T16)", .timeLimit(.minutes(15)))
struct TimeToLiveTests {
    private let journal = Journal()
    private let minute = TaskOptions(timeToLive: TimeToLive(.seconds(60)))

    @Test("A task that waits when its time is over ends as expired, which its parent counts as a failure")
    func waiting() async throws {
        let test = try await TestScheduler {
            $0.register(StepHandler.noting(in: journal))
            $0.register(
                PlanHandler(
                    onExecute: { [minute] plan, context in
                        for number in 0..<plan.children {
                            try context.spawnChild(Step(number: number), options: minute)
                        }
                        try context.spawnChild(Step(number: 99))
                    },
                    onFinalize: { [journal] context in
                        let summary = try await context.failureSummary(classes: 3, samplesPerClass: 1)
                        journal.note(summary.description)
                    }), onChildFailure: .tolerate)
        }
        try await test.scheduler.pause(.type(Step.type))
        let handle = try await test.scheduler.submit(Plan(children: 3000))
        await test.advance(by: .milliseconds(59_999))
        #expect(test.scheduler.statistics.ready == 3001)
        await test.advance(by: .milliseconds(1))
        #expect(test.scheduler.statistics.ready == 1)
        try await test.scheduler.resume(.type(Step.type))
        let memo = try await handle.memo()
        #expect(memo.completed == 1 && memo.failures == 3000 && journal.count("step") == 1)
        #expect(journal.count("3000 of 3001 failed: expired") == 1)
        #expect(test.scheduler.core.read { $0.dispatcher.deadlines.isEmpty && $0.dispatcher.doomed.isEmpty })
        try await test.stop()
    }

    @Test("A handler that runs sees the cancellation; what ended in time stays as it is")
    func running() async throws {
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        try await withScheduler(clock: clock) {
            $0.register(
                StepHandler { [journal] step, _ in
                    if step.number == 0 { return 0 }
                    journal.note("started")
                    try await Task.sleep(for: .seconds(1000))
                    return 1
                })
        } _: { scheduler in
            let quick = try await scheduler.submit(Step(number: 0), options: minute)
            let slow = try await scheduler.submit(Step(number: 1), options: minute)
            try await journal.wait(for: "started")
            clock.advance(by: 60_000)
            #expect(try await slow.outcome().kind == .expired)
            #expect(try await quick.outcome().kind == .completed)
        }
    }

    @Test("A parent whose time is over takes all below it along, and ends after them")
    func tree() async throws {
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        try await withScheduler(clock: clock) {
            $0.register(
                StepHandler { [journal] step, _ in
                    journal.note("started")
                    try await Task.sleep(for: .seconds(1000))
                    return 1
                })
            $0.register(PlanHandler(), onChildFailure: .tolerate)
        } _: { scheduler in
            let plan = try await scheduler.submit(Plan(children: 100), options: minute)
            try await journal.wait(for: "started", count: 4)
            clock.advance(by: 60_000)
            #expect(try await plan.outcome().kind == .expired)
            let children = try scheduler.core.store.children(of: plan.id)
            #expect(children.counts == OutcomeCounts(.cancelled, count: 100))
        }
    }

    @Test("From the first attempt: waiting does not count, the time between attempts does")
    func firstAttempt() async throws {
        let test = try await TestScheduler {
            $0.register(
                StepHandler { [journal] _, context in
                    journal.note("attempt \(context.attempt)")
                    throw Trouble("not yet")
                }, retry: .constant(.seconds(40), attempts: 10))
        }
        try await test.scheduler.pause(.everything)
        let options = TaskOptions(timeToLive: TimeToLive(.seconds(60), from: .firstAttempt))
        let handle = try await test.scheduler.submit(Step(number: 1), options: options)
        await test.advance(by: .seconds(1000))
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        let began = test.clock.now
        await test.advance(by: .seconds(100))
        let outcome = try await handle.outcome()
        #expect(outcome.kind == .expired && outcome.attempts == 2)
        #expect(outcome.endedAt == began.advanced(by: .seconds(60)))
        #expect(journal.all == ["attempt 1": 1, "attempt 2": 1])
        try await test.stop()
    }

    @Test("From the first attempt, across crashes: the time goes on from there, also while no process runs")
    func firstAttemptAfterCrash() async throws {
        func register(_ registry: inout Registry) {
            registry.register(
                StepHandler { _, _ in throw Trouble("not yet") }, retry: .constant(.seconds(40), attempts: 10))
            registry.register(PlanHandler(), onChildFailure: .tolerate)
        }
        let options = TaskOptions(timeToLive: TimeToLive(.seconds(60), from: .firstAttempt))
        for pause in [10, 45, 70] as [Int64] {
            let first = try await TestScheduler { register(&$0) }
            let began = first.clock.now
            let step = try await first.scheduler.submit(Step(number: 1), options: options).id
            // Its `execute` returns at once, and its child needs more time than it has.
            let plan = try await first.scheduler.submit(Plan(children: 1), options: options).id
            await first.advance(by: .seconds(5))
            let files = first.files.crash(keeping: .dropAll)
            let now = began.advanced(by: .seconds(pause))
            let second = try await TestScheduler(files: files, now: now) { register(&$0) }
            await second.advance(by: .seconds(500))
            for (id, attempts) in [(step, pause > 60 ? 1 : 2), (plan, 1)] as [(TaskID, UInt32)] {
                let ended = try await second.scheduler.task(id)
                #expect(ended?.state == .ended(.expired))
                #expect(ended?.endedAt == began.advanced(by: .seconds(max(60, pause))), "after \(pause) seconds")
                if id == step { #expect(ended?.attempts == attempts) }
            }
            try await second.stop()
            try await first.stop()
        }
    }

    @Test("From the first attempt: one that a crash cut short is none, so that the time begins with the next")
    func firstAttemptCutShort() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        let gate = Gate()
        let options = TaskOptions(timeToLive: TimeToLive(.seconds(60), from: .firstAttempt))
        let (id, left) = try await withScheduler(files, clock: clock) {
            $0.register(
                StepHandler { [journal] _, _ in
                    journal.note("begun")
                    await gate.pass()
                    return 0
                })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1), options: options)
            try await journal.wait(for: "begun")
            let left = files.crash(keeping: .dropAll)
            gate.open()
            return (handle.id, left)
        }
        let second = try await TestScheduler(files: left, now: clock.now.advanced(by: .seconds(90))) {
            $0.register(
                StepHandler { _, _ in throw Trouble("not yet") }, retry: .constant(.seconds(40), attempts: 10))
        }
        await second.runUntilIdle()
        let restarted = second.clock.now
        await second.advance(by: .seconds(500))
        let ended = try await second.scheduler.task(id)
        #expect(ended?.state == .ended(.expired) && ended?.endedAt == restarted.advanced(by: .seconds(60)))
        try await second.stop()
    }

    @Test("What was over while no process ran is not run by the next one")
    func overAtStart() async throws {
        let first = try await TestScheduler { $0.register(StepHandler.noting(in: journal)) }
        try await first.scheduler.pause(.everything)
        let handles = try await first.scheduler.submit(
            contentsOf: (0..<5000).map { Step(number: $0) }, options: minute)
        let other = try await first.scheduler.submit(Step(number: 1))
        try await first.stop()
        let now = first.clock.now.advanced(by: .seconds(60))
        let second = try await TestScheduler(files: first.files, now: now) {
            $0.register(StepHandler.noting(in: journal))
        }
        try await second.scheduler.resume(.everything)
        await second.runUntilIdle()
        #expect(journal.count("step") == 1)
        #expect(try second.scheduler.core.store.children(of: .none).counts.expired == 5000)
        #expect(try await second.scheduler.handle(for: handles[7].id, of: Step.self).outcome().kind == .expired)
        #expect(try await second.scheduler.handle(for: other.id, of: Step.self).outcome().kind == .completed)
        try await second.stop()
    }

    @Test("What cannot be cancelled for want of space is cancelled when there is some (S4)")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        try await withScheduler(files, clock: clock) {
            $0.register(StepHandler.noting(in: journal))
        } _: { scheduler in
            try await scheduler.pause(.everything)
            let handle = try await scheduler.submit(Step(number: 1), options: minute)
            files.faults.capacity = files.usedBytes
            clock.advance(by: 60_000)
            try await eventually { scheduler.core.read { $0.hasReportedStall && $0.dispatcher.questionsUnderWay == 0 } }
            files.faults.capacity = nil
            clock.advance(by: 500)
            #expect(try await handle.outcome().kind == .expired)
            #expect(journal.count("step") == 0)
        }
    }

    private struct Hooked: TaskHandler, CancelHandling {
        typealias Work = Step
        let journal: Journal
        let gate: Gate

        func execute(_ task: Step, in context: TaskContext) async throws -> Step.Memo { Step.Memo(value: 1) }
        func cancelled(_ task: Step, id: TaskID) async throws {
            journal.note("hook")
            await gate.pass()
        }
    }

    @Test("A crash between the end of the time and that of the tree changes nothing, whatever the time counts from")
    func crashMeanwhile() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        let gate = Gate()
        let options = TaskOptions(timeToLive: TimeToLive(.seconds(60), from: .firstAttempt))
        let (id, left) = try await withScheduler(files, clock: clock) {
            $0.register(Hooked(journal: journal, gate: gate))
            $0.register(PlanHandler(), onChildFailure: .tolerate)
        } _: { scheduler in
            try await scheduler.pause(.type(Step.type))
            let handle = try await scheduler.submit(Plan(children: 3), options: options)
            try await eventually { scheduler.statistics.ready == 3 }
            clock.advance(by: 60_000)
            try await journal.wait(for: "hook", count: 3)
            let left = files.crash(keeping: .dropAll)
            gate.open()
            return (handle.id, left)
        }
        let second = try await TestScheduler(files: left, now: clock.now) {
            $0.register(Hooked(journal: journal, gate: gate))
            $0.register(PlanHandler(), onChildFailure: .tolerate)
        }
        await second.runUntilIdle()
        #expect(try await second.scheduler.handle(for: id, of: Plan.self).outcome().kind == .expired)
        #expect(try second.scheduler.core.store.children(of: id).counts == OutcomeCounts(.cancelled, count: 3))
        try await second.stop()
    }
}
