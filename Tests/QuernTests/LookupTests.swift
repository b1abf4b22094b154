// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Looking tasks up, and cancelling many (T10)", .timeLimit(.minutes(15)))
struct LookupTests {
    private func make(_ gate: Gate = Gate()) async throws -> TestScheduler {
        try await TestScheduler {
            $0.register(
                StepHandler { step, context in
                    if step.number == 500 { await gate.pass() }
                    if step.number == 600 { throw Trouble("later") }
                    return 1
                }, retry: .constant(.seconds(60), attempts: 2))
            $0.register(PlanHandler())
        }
    }

    @Test("A task is found in each of its states, by id and by key")
    func states() async throws {
        let gate = Gate()
        let test = try await make(gate)
        let scheduler = test.scheduler
        func state(_ id: TaskID) async throws -> TaskInfo.State? { try await scheduler.task(id)?.state }
        let done = try await scheduler.submit(Step(number: 1))
        let later = try await scheduler.submit(Step(number: 600), options: TaskOptions(key: "later"))
        await test.runUntilIdle()
        #expect(try await state(done.id) == .ended(.completed))
        #expect(try await state(later.id) == .delayed(until: Timestamp(milliseconds: 1_700_000_060_000)))
        #expect(try await scheduler.task(forKey: "later", of: Step.self)?.id == later.id)
        #expect(try await scheduler.task(forKey: "never", of: Step.self) == nil)
        #expect(try await state(TaskID(77)) == nil)
        try await scheduler.pause(.type(Step.type))
        let plan = try await scheduler.submit(Plan(children: 1))
        await test.runUntilIdle()
        #expect(try await state(plan.id) == .waitingForChildren)
        let child = try #require(try await scheduler.tasks(below: plan.id).first)
        #expect(child.state == .ready && child.parent == plan.id && child.type == Step.type)
        let slow = try await scheduler.submit(Step(number: 500))
        let blocked = try await scheduler.submit(
            Step(number: 2), options: TaskOptions(dependencies: [TaskDependency(slow.id)], onDependencyFailure: .ignore)
        )
        #expect(try await state(blocked.id) == .blocked)
        try await scheduler.resume(.type(Step.type))
        try await eventually { try await state(slow.id) == .running }
        try await scheduler.cancel(slow.id)
        #expect(try await state(slow.id) == .cancelling)
        gate.open()
        await test.runUntilIdle()
        #expect(try await state(slow.id) == .ended(.cancelled))
        #expect(try await state(plan.id) == .ended(.completed))
        let history = try await scheduler.history()
        #expect(Set(history.prefix(3).map(\.id)) == [blocked.id, slow.id, plan.id])
        #expect(history.dropFirst(3).map(\.id) == [done.id])
        #expect(try await scheduler.history(limit: 1).count == 1)
        #expect(try await scheduler.history(of: Plan.type).map(\.id) == [plan.id])
        try await test.stop()
        let second = try await TestScheduler(files: test.files) { $0.register(PlanHandler()) }
        #expect(try await second.scheduler.task(later.id)?.state != .held)
        await second.advance(by: .seconds(60))
        #expect(try await second.scheduler.task(later.id)?.state == .held)
        try await second.stop()
    }

    @Test("Tasks are chosen by tag, group, type and parent, as a walk over all of them says", arguments: 0..<10)
    func chosen(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let test = try await make()
        let scheduler = test.scheduler
        try await scheduler.pause(.everything)
        var all: [(id: TaskID, group: String?, tags: [String], type: TaskType, priority: UInt8)] = []
        for number in 0..<200 {
            let group: String? = random.coin() ? "g\(random.below(3))" : nil
            let tags = (0..<random.below(3)).map { _ in "t\(random.below(4))/x" }
            let priority = UInt8(random.below(5))
            let options = TaskOptions(priority: priority, group: group, tags: tags)
            let isStep = random.coin()
            let id =
                if isStep {
                    try await scheduler.submit(Step(number: number), options: options).id
                } else {
                    try await scheduler.submit(Plan(children: 2), options: options).id
                }
            all.append((id, group, tags, isStep ? Step.type : Plan.type, priority))
        }
        #expect(
            try await scheduler.tasks(tagPrefix: "t1").map(\.id)
                == all.filter { $0.tags.contains("t1/x") }.map(\.id))
        #expect(
            try await scheduler.tasks(of: Step.type, group: "g2").map(\.id)
                == all.filter { $0.type == Step.type && $0.group == "g2" }.map(\.id))
        #expect(try await scheduler.tasks(limit: 7).map(\.id) == all.prefix(7).map(\.id))
        var alive = Set(all.map(\.id))
        func cancel(_ count: Int, _ isChosen: (Int) -> Bool) {
            let chosen = all.indices.filter { alive.contains(all[$0].id) && isChosen($0) }
            #expect(count == chosen.count)
            alive.subtract(chosen.map { all[$0].id })
        }
        cancel(try await scheduler.cancelAll(tagPrefix: "t2")) { all[$0].tags.contains("t2/x") }
        await test.runUntilIdle()
        cancel(try await scheduler.cancelAll(of: Plan.type, group: "g1")) {
            all[$0].type == Plan.type && all[$0].group == "g1"
        }
        await test.runUntilIdle()
        cancel(try await scheduler.cancel { $0.priority == 3 && $0.id.rawValue % 2 == 0 }) {
            all[$0].priority == 3 && all[$0].id.rawValue % 2 == 0
        }
        await test.runUntilIdle()
        #expect(Set(try await scheduler.tasks().map(\.id)) == alive)
        cancel(try await scheduler.cancelAll()) { _ in true }
        await test.runUntilIdle()
        #expect(scheduler.core.store.totals.live == 0)
        #expect(try scheduler.core.store.children(of: .none).counts.cancelled == 200)
        try await test.stop()
    }

    @Test("Who chooses a parent has its children cancelled with it, and they do not count")
    func below() async throws {
        let test = try await make()
        try await test.scheduler.pause(.type(Step.type))
        let plans = try await test.scheduler.submit(contentsOf: (0..<3).map { _ in Plan(children: 9000) })
        await test.runUntilIdle()
        #expect(try await test.scheduler.cancelAll(below: plans[0].id) == 9000)
        await test.runUntilIdle()
        #expect(try await plans[0].outcome().kind == .completed)
        #expect(try await test.scheduler.cancelAll() == 2)
        await test.runUntilIdle()
        for plan in plans { #expect(try test.scheduler.core.store.children(of: plan.id).counts.cancelled == 9000) }
        try await test.stop()
    }

    @Test("Tasks that end while they are cancelled are left out, and all others get cancelled")
    func whileTheyEnd() async throws {
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 20_000))
            try await eventually { try scheduler.core.store.children(of: handle.id).count > 1000 }
            let chosen = try await scheduler.cancelAll(of: Step.type)
            let memo = try await handle.memo()
            let counts = try scheduler.core.store.children(of: handle.id).counts
            #expect(counts.total == 20_000)
            #expect(counts.completed == memo.completed)
            // A task that was about to end when it was chosen may have completed all the same.
            #expect(counts.cancelled <= chosen)
        }
    }
}
