// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Limits, rates, pauses and preemption (T16)", .timeLimit(.minutes(20)))
struct LimitsTests {
    private func dispatcher(_ facts: [TypeFacts?], _ limits: Dispatcher.Limits) -> Dispatcher {
        var dispatcher = Dispatcher(facts: facts, limits: limits)
        dispatcher.isRunning = true
        return dispatcher
    }

    private func run(_ id: UInt64, count: Int = 1, label: UInt32 = 0, priority: UInt8) -> SpawnRun {
        var run = SpawnRun.test(id, count: count, parent: 0, label: label)
        run.priority = priority
        return run
    }

    private func start(_ dispatcher: inout Dispatcher) throws -> Dispatcher.Effects.Start {
        let starts = dispatcher.takeEffects().starts
        return try #require(starts.first)
    }

    private func entry(_ pull: Pull?) -> ReadyRun? { if case .execute(let entry) = pull?.work { entry } else { nil } }

    @Test("A much better task has one that runs give way; that is pending again, its attempt not counted")
    func preemption() throws {
        var effects = Dispatcher.Effects()
        var limits = Dispatcher.Limits(concurrency: 1)
        limits.preemption = 50
        var dispatcher = dispatcher([TypeFacts(), TypeFacts(place: .threads)], limits)
        dispatcher.sizes.costs[0] = 10
        dispatcher.spawned(run(1, count: 8, priority: 200))
        let worker = try start(&dispatcher).worker
        var given = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        let pull = try #require(given)
        #expect(entry(pull)?.bits == 0xff)
        #expect(pull.claims.claimNext() == 0)
        dispatcher.spawned(run(20, label: 1, priority: 151))
        effects = dispatcher.takeEffects()
        #expect(effects.cancellations.isEmpty, "it is not better by enough")
        dispatcher.spawned(run(30, label: 1, priority: 150))
        effects = dispatcher.takeEffects()
        #expect(effects.cancellations == [worker])
        effects = dispatcher.takeEffects()
        #expect(effects.cancellations.isEmpty)
        #expect(pull.claims.isInterrupted && pull.claims.remaining == 0)
        #expect(dispatcher.queues.count == 9)
        dispatcher.finished(worker, PullReport(givenBack: 1, tried: 1))
        given = dispatcher.next(for: worker, at: .cooperative)
        #expect(given == nil)
        let next = try start(&dispatcher)
        #expect(next.place == .threads)
        given = dispatcher.next(for: next.worker, at: .threads, isFirst: true)
        #expect(entry(given)?.run.firstID == TaskID(30))
        _ = given?.claims.claimNext()
        dispatcher.finished(next.worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
        given = dispatcher.next(for: next.worker, at: .threads)
        #expect(entry(given)?.run.firstID == TaskID(20))
        _ = given?.claims.claimNext()
        dispatcher.finished(next.worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
        given = dispatcher.next(for: next.worker, at: .threads)
        #expect(given == nil)
        let last = try start(&dispatcher).worker
        let again = entry(dispatcher.next(for: last, at: .cooperative, isFirst: true))
        #expect(again?.run.firstID == TaskID(1) && again?.attempts == 0)
    }

    @Test("A finalize that was interrupted before it began is pending again")
    func interruptedFinalize() throws {
        var limits = Dispatcher.Limits(concurrency: 1)
        limits.preemption = 1
        var dispatcher = dispatcher([TypeFacts(), TypeFacts(isOrchestrator: true)], limits)
        let parent = run(1, label: 1, priority: 128)
        dispatcher.advanced(ReadyRun(run: parent, bits: 1), 1)
        var status = ParentStatus(id: TaskID(1))
        status.phase = TaskPhase.children
        dispatcher.touched(status)
        let worker = try start(&dispatcher).worker
        let given = dispatcher.next(for: worker, at: .threads, isFirst: true)
        let pull = try #require(given)
        dispatcher.spawned(run(2, priority: 1))
        let effects = dispatcher.takeEffects()
        #expect(effects.cancellations == [worker])
        #expect(pull.claims.claimNext() == nil)
        dispatcher.finished(worker, PullReport())
        #expect(dispatcher.queues.count == 2 && dispatcher.waiting.count == 1)
    }

    @Test("Cancels of tasks that wait are one pass over the queues, and nothing cancelled is started")
    func cancelsTogether() throws {
        var dispatcher = dispatcher([TypeFacts()], Dispatcher.Limits(concurrency: 1))
        for id in 1...100 { dispatcher.spawned(run(UInt64(id), priority: 128)) }
        for id in 1...99 { dispatcher.cancel([TaskID(UInt64(id))]) }
        #expect(dispatcher.queues.count == 100 && dispatcher.unswept.count == 99)
        let worker = try start(&dispatcher).worker
        let given = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        let pull = try #require(given)
        guard case .cancel(let entries) = pull.work else { throw Trouble("no cancels") }
        #expect(entries.count == 99 && dispatcher.queues.count == 1)
    }

    @Test("No more tasks of a type run at a time than its limit says, finalize and changes included")
    func concurrency() async throws {
        let running = Mutex((now: 0, most: 0))
        let gate = Gate()
        let journal = Journal()
        try await withScheduler(concurrency: 8) {
            $0.register(
                StepHandler { _, _ in
                    running.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    journal.note("runs")
                    await gate.pass()
                    running.withLock { $0.now -= 1 }
                    return 1
                }, concurrency: 2)
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 40))
            try await journal.wait(for: "runs", count: 2)
            #expect(running.withLock { $0.most } == 2)
            try scheduler.setConcurrency(5, for: .type(Step.type))
            try await journal.wait(for: "runs", count: 5)
            gate.open()
            #expect(try await handle.memo().completed == 40)
            #expect(running.withLock { $0.most } == 5)
        }
    }

    @Test("Changing how many handlers run in all takes effect while they run")
    func overallConcurrency() async throws {
        let gate = Gate()
        let journal = Journal()
        try await withScheduler(concurrency: 1) {
            $0.register(
                StepHandler { _, _ in
                    journal.note("runs")
                    await gate.pass()
                    return 1
                })
        } _: { scheduler in
            for number in 0..<6 { _ = try await scheduler.submit(Step(number: number)) }
            try await journal.wait(for: "runs", count: 1)
            #expect(scheduler.statistics.running == 1)
            try scheduler.setConcurrency(4, for: .everything)
            try await journal.wait(for: "runs", count: 4)
            #expect(scheduler.statistics.running == 4)
            gate.open()
            try await eventually { scheduler.statistics.ended == 6 }
        }
    }

    @Test("What is paused does not start, does not hold up others, and goes on when the pause is over")
    func pauses() async throws {
        let clock = ManualClock()
        let journal = Journal()
        try await withScheduler(clock: clock) {
            $0.register(StepHandler.noting(in: journal))
            $0.register(PlanHandler(onExecute: { _, _ in journal.note("plan") }))
        } _: { scheduler in
            try await scheduler.pause(.type(Step.type))
            let step = try await scheduler.submit(Step(number: 1))
            _ = try await scheduler.submit(Plan(children: 0)).memo()
            #expect(journal.all == ["plan": 1])
            try await scheduler.resume(.type(Step.type))
            _ = try await step.memo()

            try await scheduler.pause(.everything, until: clock.now.advanced(by: .seconds(60)))
            let later = try await scheduler.submit(Step(number: 2))
            let cancelled = try await scheduler.submit(Step(number: 3))
            try await scheduler.cancel(cancelled.id)
            #expect(try await cancelled.outcome().kind == .cancelled)
            #expect(journal.count("step") == 1)
            clock.advance(by: 60_000)
            _ = try await later.memo()
            #expect(journal.count("step") == 2)
        }
    }

    @Test("Tasks start no faster than the rate of their type says, and others go on")
    func rates() async throws {
        let clock = ManualClock()
        let journal = Journal()
        try await withScheduler(clock: clock) {
            $0.register(StepHandler.noting(in: journal), rate: RateLimit(10, per: .seconds(1), burst: 5))
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 20))
            try await journal.wait(for: "step", count: 5)
            _ = try await scheduler.submit(Plan(children: 0)).memo()
            for started in 6...20 {
                #expect(journal.count("step") == started - 1)
                clock.advance(by: 100)
                try await journal.wait(for: "step", count: started)
            }
            #expect(try await handle.memo().completed == 20)
        }
    }

    @Test("There are no limits for what is not registered")
    func unknownScopes() async throws {
        let scheduler = try await idleScheduler { $0.register(StepHandler()) }
        for scope in [LimitScope.type("test.unknown"), .domain("test.unknown")] {
            let error = #expect(throws: SchedulerError.self) { try scheduler.setConcurrency(1, for: scope) }
            #expect(error?.code == .notRegistered)
        }
        try scheduler.setRate(RateLimit(1, per: .seconds(1)), for: .group("any"))
        scheduler.setWeight(2, ofGroup: "any")
        try await scheduler.close()
    }

    @Test("T16, T17: tasks that a rate holds back start when the clock is set back, too")
    func clockSetBack() async throws {
        let journal = Journal()
        let test = try await TestScheduler {
            $0.register(StepHandler.noting(in: journal), rate: RateLimit(1, per: .seconds(1)))
        }
        for number in 1...3 { _ = try await test.scheduler.submit(Step(number: number)) }
        await test.runUntilIdle()
        #expect(journal.count("step") == 1)
        test.clock.set(Timestamp(milliseconds: test.clock.now.rawValue - 3_600_000))
        await test.advance(by: .seconds(2))
        #expect(journal.count("step") == 3)
        try await test.stop()
    }

    @Test(
        "T10, T16: what is asked of a task while its outcome waits to be stored leaves nothing behind",
        arguments: [true, false])
    func lateRequest(cancels: Bool) async throws {
        let (files, gate, other) = (HeldLog(), Gate(), Gate())
        try await withScheduler(files) {
            $0.register(
                StepHandler { step, _ in
                    await (step.number == 1 ? gate : other).pass()
                    return 1
                })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            let busy = try await scheduler.submit(Step(number: 2))
            try await eventually { scheduler.statistics.running == 2 }
            files.hold()
            async let request =
                cancels ? scheduler.cancel(handle.id) : scheduler.setPriority(1, of: handle.id)
            try await eventually { files.isWaiting }
            gate.open()
            try await eventually { scheduler.statistics.running == 1 }
            files.release()
            #expect(try await request)
            #expect(try await handle.outcome().kind == .completed)
            #expect(scheduler.core.read { $0.dispatcher.priorities.isEmpty && $0.dispatcher.doomed.isEmpty })
            other.open()
            _ = try await busy.memo()
        }
    }

    @Test("T16: a priority that is stored behind the end of its task is forgotten with the outcome")
    func latePriority() throws {
        var dispatcher = dispatcher([TypeFacts()], Dispatcher.Limits(concurrency: 1))
        dispatcher.spawned(run(1, priority: 128))
        let worker = try start(&dispatcher).worker
        let pull = dispatcher.next(for: worker, at: .cooperative, isFirst: true)
        _ = pull?.claims.claimNext()
        dispatcher.finished(worker, PullReport(tried: 1, ended: OutcomeCounts(.completed)))
        dispatcher.prioritized([TaskID(1): 5])
        dispatcher.settled([TaskID(1)])
        #expect(dispatcher.priorities.isEmpty)
    }

    @Test("T10: a cancel that comes when the outcome of its task is on its way leaves nothing behind")
    func lateCancel() throws {
        var dispatcher = Dispatcher(facts: [])
        dispatcher.isRunning = true
        dispatcher.cancel([TaskID(5): .superseded])
        let start = try #require(dispatcher.takeEffects().starts.first)
        #expect(dispatcher.doomed == [TaskID(5)])
        #expect(dispatcher.next(for: start.worker, at: start.place, isFirst: true) == nil)
        _ = dispatcher.takeEffects()
        #expect(dispatcher.doomed.isEmpty && dispatcher.cancelKinds.isEmpty)
    }
}
