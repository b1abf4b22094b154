// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Dependencies (T10, T16)", .timeLimit(.minutes(15)))
struct DependencyTests {
    private let order = Order()

    /// Steps above 1000 fail.
    private func register(_ registry: inout Registry) {
        registry.register(StepHandler.noting(in: order))
    }

    private func after(
        _ ids: TaskID..., failure: DependencyPolicy? = nil, cancel: DependencyPolicy? = nil
    ) -> TaskOptions {
        TaskOptions(
            dependencies: ids.map { TaskDependency($0) }, onDependencyFailure: failure, onDependencyCancel: cancel)
    }

    @Test("A task starts when all that it waits for has ended, also when that had ended before")
    func chain() async throws {
        let test = try await TestScheduler { register(&$0) }
        try await test.scheduler.pause(.everything)
        let first = try await test.scheduler.submit(Step(number: 1), options: TaskOptions(priority: 200))
        let second = try await test.scheduler.submit(Step(number: 2), options: TaskOptions(priority: 201))
        let third = try await test.scheduler.submit(Step(number: 3), options: after(first.id, second.id, first.id))
        _ = try await test.scheduler.submit(contentsOf: (10..<90).map { Step(number: $0) }, options: after(third.id))
        #expect(test.scheduler.statistics.blocked == 81 && test.scheduler.statistics.ready == 2)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        #expect(order.numbers == [1, 2, 3] + (10..<90))
        let late = try await test.scheduler.submit(Step(number: 4), options: after(third.id, first.id))
        #expect(try await late.memo().value == 4)
        #expect(test.scheduler.core.read { $0.dispatcher.dependencies.isEmpty && $0.dispatcher.questionsUnderWay == 0 })
        try await test.stop()
    }

    @Test("Policies say what a failure means, and what a cancel means", arguments: DependencyPolicy.allCases)
    func policies(policy: DependencyPolicy) async throws {
        let test = try await TestScheduler { register(&$0) }
        try await test.scheduler.pause(.everything)
        let bad = try await test.scheduler.submit(Step(number: 1001))
        let gone = try await test.scheduler.submit(Step(number: 1))
        let never = try await test.scheduler.submit(Step(number: 2), options: TaskOptions(start: .after(.seconds(99))))
        var handles: [TaskHandle<Step>] = []
        for (ids, options) in [
            ([bad.id], after(bad.id, failure: policy)), ([gone.id], after(gone.id, failure: policy)),
            ([gone.id], after(gone.id, failure: .ignore, cancel: policy)),
            ([bad.id], after(bad.id, failure: policy, cancel: .ignore)),
            // The first that decides is enough.
            ([bad.id, never.id], after(bad.id, never.id, failure: policy)),
        ] {
            #expect(!ids.isEmpty)
            handles.append(try await test.scheduler.submit(Step(number: 7), options: options))
        }
        try await test.scheduler.cancel(gone.id)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        let last = test.scheduler.core.store.isLive(handles[4].id)
        #expect(last == (policy == .ignore))
        await test.advance(by: .seconds(100))
        let wanted: OutcomeKind = [.fail: .dependencyFailed, .cancel: .cancelled, .ignore: .completed][policy]!
        for handle in handles { #expect(try await handle.outcome().kind == wanted) }
        // As late: the question is asked of the store then.
        let late = try await test.scheduler.submit(Step(number: 8), options: after(bad.id, failure: policy))
        let kind = try await late.outcome().kind
        #expect(kind == wanted)
        if case .failure(.ended(.dependencyFailed, let info)) = try await late.outcome().result {
            #expect(info.reason == "dependency failed")
        }
        #expect(test.scheduler.core.read { $0.dispatcher.doomed.isEmpty && $0.dispatcher.cancelKinds.isEmpty })
        try await test.stop()
    }

    @Test("After a crash a task waits on, or hears of what ended before it")
    func restart() async throws {
        let first = try await TestScheduler { register(&$0) }
        let done = try await first.scheduler.submit(Step(number: 1))
        let bad = try await first.scheduler.submit(Step(number: 1001))
        _ = try? await bad.memo()
        let open = try await first.scheduler.submit(Step(number: 2), options: TaskOptions(start: .after(.seconds(10))))
        let waits = try await first.scheduler.submit(Step(number: 3), options: after(done.id, open.id))
        let fails = try await first.scheduler.submit(Step(number: 4), options: after(open.id, failure: .ignore))
        await first.runUntilIdle()
        let files = first.files.crash(keeping: .dropAll)
        let second = try await TestScheduler(files: files, now: first.clock.now) { register(&$0) }
        await second.runUntilIdle()
        #expect(second.scheduler.statistics.blocked == 2)
        try await second.scheduler.cancel(open.id)
        #expect(try await second.scheduler.handle(for: waits.id, of: Step.self).outcome().kind == .dependencyFailed)
        #expect(try await second.scheduler.handle(for: fails.id, of: Step.self).outcome().kind == .completed)
        try await second.stop()
        try await first.stop()
    }

    @Test("A task waits for a child of another parent, and blocked tasks are cancelled at once")
    func children() async throws {
        let found = Mutex<TaskDependency?>(nil)
        let test = try await TestScheduler {
            register(&$0)
            $0.register(
                PlanHandler(
                    onExecute: { plan, context in
                        var options = TaskOptions(start: .after(.seconds(plan.children == 0 ? 5 : 0)))
                        if let other = found.withLock({ $0 }), plan.children > 0 { options.dependencies = [other] }
                        let number = plan.children == 0 ? 0 : 1
                        try context.spawnChild(Step(number: number), options: options)
                    }))
        }
        let first = try await test.scheduler.submit(Plan(children: 0))
        await test.runUntilIdle()
        let child = try #require(test.scheduler.core.store.liveTasks().runs.first { $0.run.parent == first.id })
        found.withLock { $0 = TaskDependency(child.run.firstID, parent: first.id) }
        let second = try await test.scheduler.submit(Plan(children: 1))
        let third = try await test.scheduler.submit(Plan(children: 2))
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.blocked == 2)
        try await test.scheduler.cancel(third.id)
        #expect(try await third.outcome().kind == .cancelled)
        await test.advance(by: .seconds(5))
        #expect(try await second.memo().completed == 1)
        #expect(order.numbers == [0, 1])
        try await test.stop()
    }

    @Test("Tasks that never were, of another parent, or above are refused when they are asked for")
    func refused() async throws {
        let codes = Mutex<[SchedulerError.Code]>([])
        let test = try await TestScheduler {
            register(&$0)
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    let above = [TaskDependency(context.id, parent: context.parent)]
                    do throws(SchedulerError) {
                        try context.spawnChild(Step(number: 1), options: TaskOptions(dependencies: above))
                    } catch { codes.withLock { $0.append(error.code) } }
                    try context.spawnChild(Step(number: 2))
                }))
        }
        func code(_ dependency: TaskDependency) async -> SchedulerError.Code? {
            do throws(SchedulerError) {
                _ = try await test.scheduler.submit(Step(number: 1), options: TaskOptions(dependencies: [dependency]))
                return nil
            } catch { return error.code }
        }
        #expect(try await test.scheduler.submit(Plan(children: 1)).memo().completed == 1)
        #expect(codes.withLock { $0 } == [.invalidOptions])
        #expect(await code(TaskDependency(TaskID(500))) == .invalidOptions)
        #expect(await code(TaskDependency(.none)) == .invalidOptions)
        let waits = try await test.scheduler.submit(Step(number: 1), options: TaskOptions(start: .after(.seconds(9))))
        #expect(await code(TaskDependency(waits.id, parent: TaskID(1))) == .invalidOptions)
        #expect(await code(TaskDependency(waits.id)) == nil)
        try await test.stop()
    }

    @Test("Parents whose children wait for the other parent do not wait for ever: the last to come has failed")
    func circle() async throws {
        let ids = Mutex<[TaskID]>([])
        let test = try await TestScheduler {
            register(&$0)
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    let other = ids.withLock { $0[1 - plan.children] }
                    try context.spawnChild(Step(number: plan.children), options: after(other))
                }), onChildFailure: .tolerate)
        }
        try await test.scheduler.pause(.everything)
        let plans = try await test.scheduler.submit(contentsOf: [Plan(children: 0), Plan(children: 1)])
        ids.withLock { $0 = plans.map(\.id) }
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        let memos = [try await plans[0].memo(), try await plans[1].memo()]
        #expect(memos.map(\.completed) == [1, 0] && memos.map(\.failures) == [0, 1])
        try await test.stop()
    }

    @Test("A task that has begun does not wait again after a crash for what has ended and was dropped since")
    func begunBeforeCrash() async throws {
        let files = SimulatedFileSystem()
        let picture = Mutex<SimulatedFileSystem?>(nil)
        let first = try await TestScheduler(files: files) {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onExecute: { _, context in
                    try await context.spawnNow(Step(number: 1))
                    let ended = try context.core.store.children(of: .none).outcomes().map(\.id)
                    for root in ended { try await context.core.store.dropTree(root) }
                    picture.withLock { $0 = files.crash(keeping: .keepAll) }
                }))
        }
        let step = try await first.scheduler.submit(Step(number: 0)).id
        await first.runUntilIdle()
        let options = TaskOptions(dependencies: [TaskDependency(step)])
        let plan = try await first.scheduler.submit(Plan(children: 0), options: options).id
        await first.runUntilIdle()
        try await first.stop()
        let left = try #require(picture.withLock { $0 })
        let second = try await TestScheduler(files: left) {
            $0.register(StepHandler())
            $0.register(PlanHandler(onExecute: { _, _ in }))
        }
        await second.runUntilIdle()
        #expect(try await second.scheduler.handle(for: plan, of: Plan.self).outcome().kind == .completed)
        try await second.stop()
    }
}
