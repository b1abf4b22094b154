// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Delayed start (T16)", .timeLimit(.minutes(15)))
struct DelayTests {
    private let journal = Journal()
    private let hour = TaskOptions(start: .after(.seconds(3600)))

    private func register(_ registry: inout Registry) { registry.register(StepHandler.noting(in: journal)) }

    @Test("A task starts when its time has come and not before; a time that has passed is no delay")
    func start() async throws {
        let test = try await TestScheduler { register(&$0) }
        let late = try await test.scheduler.submit(Step(number: 1), options: hour)
        let at = TaskStart.at(test.clock.now.advanced(by: .seconds(1800)))
        let earlier = try await test.scheduler.submit(Step(number: 2), options: TaskOptions(start: at))
        let past = TaskOptions(start: .at(Timestamp(milliseconds: 5)))
        _ = try await test.scheduler.submit(Step(number: 3), options: past).memo()
        #expect(test.scheduler.statistics.delayed == 2 && journal.count("step") == 1)
        await test.advance(by: .seconds(1799))
        #expect(journal.count("step") == 1)
        await test.advance(by: .seconds(1))
        _ = try await earlier.memo()
        await test.advance(by: .milliseconds(1_799_999))
        #expect(journal.count("step") == 2)
        await test.advance(by: .milliseconds(1))
        let outcome = try await late.outcome()
        #expect(outcome.kind == .completed && outcome.startedAt == test.clock.now)
        try await test.stop()
    }

    @Test("A delay counts from the spawn, whatever happens to the process meanwhile")
    func restart() async throws {
        let first = try await TestScheduler { register(&$0) }
        let id = try await first.scheduler.submit(Step(number: 1), options: hour).id
        await first.advance(by: .seconds(1000))
        let files = first.files.crash(keeping: .dropAll)
        let second = try await TestScheduler(files: files, now: first.clock.now) { register(&$0) }
        await second.advance(by: .seconds(2599))
        #expect(journal.count("step") == 0)
        await second.advance(by: .seconds(1))
        let handle = second.scheduler.handle(for: id, of: Step.self)
        #expect(try await handle.outcome().startedAt == second.clock.now)
        try await second.stop()
        try await first.stop()
    }

    @Test("A wave of delayed children takes an entry for each 64 of them, and each is cancelled at once")
    func wave() async throws {
        let test = try await TestScheduler {
            register(&$0)
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    try context.spawnChildren((0..<plan.children).map { Step(number: $0) }, options: hour)
                }))
        }
        let handles = try await test.scheduler.submit(contentsOf: [Plan(children: 20_000), Plan(children: 50)])
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.delayed == 20_050)
        #expect(test.scheduler.core.read { $0.dispatcher.delayed.count } <= 20_050 / 64 + 3)
        #expect(try await test.scheduler.cancel(handles[0].id))
        #expect(try await handles[0].outcome().kind == .cancelled)
        #expect(test.scheduler.statistics.delayed == 50 && journal.count("step") == 0)
        await test.advance(by: .seconds(3600))
        #expect(try await handles[1].memo().completed == 50)
        try await test.stop()
    }

    @Test("The delay of a child counts from the call that spawns it, not from the attempt that does")
    func childDelay() async throws {
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        let options = TaskOptions(start: .after(.milliseconds(500)))
        try await withScheduler(clock: clock) {
            register(&$0)
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    clock.advance(by: 10_000)
                    try context.spawnChild(Step(number: 1), options: options)
                }))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 1))
            try await eventually { scheduler.statistics.delayed == 1 }
            #expect(scheduler.nextDue == Timestamp(milliseconds: 11_500))
            clock.advance(by: 500)
            #expect(try await handle.memo().completed == 1)
        }
    }

    @Test("A type's own delay holds for each of its tasks")
    func typeDelay() async throws {
        var configuration = TaskOptions()
        configuration.start = .after(.seconds(5))
        let options = configuration
        let test = try await TestScheduler(configure: { $0.options = options }, { register(&$0) })
        _ = try await test.scheduler.submit(Step(number: 1))
        await test.advance(by: .seconds(3))
        _ = try await test.scheduler.submit(Step(number: 2))
        await test.advance(by: .seconds(2))
        #expect(journal.count("step") == 1)
        await test.advance(by: .seconds(3))
        #expect(journal.count("step") == 2)
        try await test.stop()
    }
}
