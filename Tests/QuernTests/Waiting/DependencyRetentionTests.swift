// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

/// Types that a later version of a program has.
private protocol LaterType: Sendable { static var type: TaskType { get } }
private enum First: LaterType { static let type: TaskType = "test.later.1" }
private enum Second: LaterType { static let type: TaskType = "test.later.2" }
private enum Third: LaterType { static let type: TaskType = "test.later.3" }

private struct Later<Kind: LaterType>: DurableTask {
    static var type: TaskType { Kind.type }
    typealias Memo = Step.Memo

    struct Handler: TaskHandler {
        func execute(_ task: Later<Kind>, in context: TaskContext) async throws -> Memo { Memo(value: 0) }
    }
}

@Suite("Retention beside tasks that depend on others (T12, T16)", .timeLimit(.minutes(15)))
struct DependencyRetentionTests {
    private static let nothing = RetentionPolicy(count: 0)

    /// A plan spawns a plan with one child less, or a step.
    private func register(_ registry: inout Registry) {
        registry.register(StepHandler())
        registry.register(
            PlanHandler(onExecute: { plan, context in
                if plan.children == 0 {
                    try context.spawnChild(Step(number: 1))
                } else {
                    try context.spawnChild(Plan(children: plan.children - 1))
                }
            }))
    }

    private func after(_ dependencies: TaskDependency..., policy: DependencyPolicy? = nil) -> TaskOptions {
        TaskOptions(dependencies: dependencies, onDependencyFailure: policy)
    }

    private func drop(in test: TestScheduler) async throws -> Int {
        try await test.scheduler.core.store.applyRetention(Self.nothing, now: test.clock.now).trees
    }

    /// The scheduler that comes after a crash.
    private func crash(_ test: TestScheduler) async throws -> TestScheduler {
        let files = test.files.crash(keeping: .dropAll)
        try await test.stop()
        return try await TestScheduler(files: files, now: test.clock.now) { register(&$0) }
    }

    private func kind(of task: TaskID, in test: TestScheduler) async throws -> OutcomeKind {
        try await test.scheduler.handle(for: task, of: Step.self).outcome().kind
    }

    private func pins(of test: TestScheduler) -> Pins {
        test.scheduler.core.store.shared.committed.withLock { $0.state.pins }
    }

    @Test("What a task depends on stays until that task has ended, so that it runs after a restart too")
    func root() async throws {
        var test = try await TestScheduler { register(&$0) }
        let done = try await test.scheduler.submit(Step(number: 1)).id
        let other = try await test.scheduler.submit(Step(number: 2)).id
        let ends = try await test.scheduler.submit(Step(number: 3), options: TaskOptions(start: .after(.seconds(1)))).id
        let open = try await test.scheduler.submit(Step(number: 4), options: TaskOptions(start: .after(.seconds(9)))).id
        await test.runUntilIdle()
        // It waits for one, and for two that had ended, or end before.
        let names = [done, ends, open].map { TaskDependency($0) }
        let waits = try await test.scheduler.submit(Step(number: 5), options: TaskOptions(dependencies: names)).id
        await test.advance(by: .seconds(1))
        #expect(try await drop(in: test) == 1)
        test = try await crash(test)
        #expect(try await drop(in: test) == 0)
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.blocked == 1)
        await test.advance(by: .seconds(8))
        #expect(try await kind(of: waits, in: test) == .completed)
        #expect(try test.scheduler.core.store.children(of: .none).outcomes().map(\.id).contains(other) == false)
        #expect(try await drop(in: test) == 4)
        #expect(test.scheduler.core.read { $0.neededTrees.isEmpty })
        try await test.stop()
    }

    @Test("A task that waits for a worker only, since all has ended that it depends on, does not fail after a crash")
    func ready() async throws {
        var test = try await TestScheduler { register(&$0) }
        let done = try await test.scheduler.submit(Step(number: 1)).id
        await test.runUntilIdle()
        try await test.scheduler.pause(.everything)
        let ready = try await test.scheduler.submit(Step(number: 2), options: after(TaskDependency(done))).id
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.blocked == 0)
        #expect(try await drop(in: test) == 0)
        test = try await crash(test)
        #expect(try await drop(in: test) == 0)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        #expect(try await kind(of: ready, in: test) == .completed)
        try await test.stop()
    }

    @Test("So it is where retention begins with the first commits, those of new types' names")
    func firstCommits() async throws {
        let first = try await TestScheduler { register(&$0) }
        let done = try await first.scheduler.submit(Step(number: 1)).id
        _ = try await first.scheduler.submit(Step(number: 2))
        await first.runUntilIdle()
        try await first.scheduler.pause(.everything)
        let ready = try await first.scheduler.submit(Step(number: 2), options: after(TaskDependency(done))).id
        await first.runUntilIdle()
        let files = first.files.crash(keeping: .dropAll)
        try await first.stop()
        let second = try await TestScheduler(files: files, now: first.clock.now) {
            $0.store.checkpointBytes = 1
            $0.store.startThread = { $0() }
            $0.store.retention = MemoStore.Retention(Self.nothing) { Timestamp(milliseconds: .max) }
        } _: {
            register(&$0)
            $0.register(Later<First>.Handler())
            $0.register(Later<Second>.Handler())
            $0.register(Later<Third>.Handler())
        }
        #expect(try second.scheduler.core.store.children(of: .none).outcomes().map(\.id) == [done])
        try await second.scheduler.resume(.everything)
        await second.runUntilIdle()
        #expect(try await kind(of: ready, in: second) == .completed)
        try await second.stop()
    }

    @Test(
        "The whole tree of a child that a task depends on stays, whichever of its parents have ended", arguments: 0...2)
    func child(depth: Int) async throws {
        var test = try await TestScheduler { register(&$0) }
        let root = try await test.scheduler.submit(Plan(children: depth)).id
        await test.runUntilIdle()
        var (parent, child) = (root, root)
        for _ in 0...depth {
            parent = child
            child = try #require(try test.scheduler.core.store.children(of: parent).outcomes().first?.id)
        }
        try await test.scheduler.pause(.everything)
        let options = after(TaskDependency(child, parent: parent))
        let waits = try await test.scheduler.submit(contentsOf: [Step(number: 2), Step(number: 3)], options: options)
        await test.runUntilIdle()
        #expect(try await drop(in: test) == 0)
        // Also when what has the child's parent is in the index alone.
        try await test.scheduler.core.store.compact()
        #expect(try await drop(in: test) == 0)
        test = try await crash(test)
        #expect(try await drop(in: test) == 0)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        for handle in waits { #expect(try await kind(of: handle.id, in: test) == .completed) }
        #expect(try await drop(in: test) == 3)
        #expect(try test.scheduler.core.store.children(of: parent).isEmpty)
        try await test.stop()
    }

    @Test("A child that lives when a task comes that depends on it keeps its tree once that has ended")
    func liveChild() async throws {
        var test = try await TestScheduler { register(&$0) }
        try await test.scheduler.pause(.type(Step.type))
        let root = try await test.scheduler.submit(Plan(children: 1)).id
        await test.runUntilIdle()
        let child = try #require(test.scheduler.core.store.liveTasks().runs.last?.run)
        #expect(child.parent != root)
        let options = after(TaskDependency(child.firstID, parent: child.parent))
        let waits = try await test.scheduler.submit(Step(number: 9), options: options).id
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.blocked == 1)
        #expect(pins(of: test).contains(root: root))
        try await test.scheduler.resume(.type(Step.type))
        await test.runUntilIdle()
        #expect(try await kind(of: waits, in: test) == .completed)
        #expect(!pins(of: test).contains(root: root))
        test = try await crash(test)
        #expect(try await drop(in: test) == 2)
        try await test.stop()
    }

    @Test("However a task ends that depends on another one, and whoever else does, nothing is kept longer than needed")
    func released() async throws {
        let test = try await TestScheduler { register(&$0) }
        let done = try await test.scheduler.submit(Step(number: 1)).id
        await test.runUntilIdle()
        try await test.scheduler.pause(.everything)
        let batch = try await test.scheduler.submit(
            contentsOf: (0..<200).map { Step(number: $0) }, options: after(TaskDependency(done)))
        var options = after(TaskDependency(done))
        options.key = "one"
        options.onDuplicate = .replace
        let old = try await test.scheduler.submit(Step(number: 500), options: options).id
        options.dependencies = []
        _ = try await test.scheduler.submit(Step(number: 501), options: options)
        await test.runUntilIdle()
        #expect(try await kind(of: old, in: test) == .superseded)
        for handle in batch.dropLast() { try await test.scheduler.cancel(handle.id) }
        await test.runUntilIdle()
        // Those that were cancelled, and the one that was superseded.
        #expect(try await drop(in: test) == 200)
        #expect(pins(of: test).contains(root: done))
        try await test.scheduler.cancel(try #require(batch.last).id)
        await test.runUntilIdle()
        #expect(try await drop(in: test) == 2)
        #expect(test.scheduler.core.read { $0.neededTrees.isEmpty })
        try await test.stop()
    }

    @Test("A child that depends on its sibling keeps no tree, since its own lives as long as it does")
    func sibling() async throws {
        let test = try await TestScheduler {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onExecute: { _, context in
                    let first = try await context.spawnNow(Step(number: 1)).id
                    let options = TaskOptions(
                        start: .after(.seconds(1)), dependencies: [TaskDependency(first, parent: context.id)])
                    try context.spawnChild(Step(number: 2), options: options)
                }))
        }
        let plan = try await test.scheduler.submit(Plan(children: 1))
        await test.runUntilIdle()
        #expect(test.scheduler.core.read { $0.neededTrees.isEmpty })
        await test.advance(by: .seconds(1))
        #expect(try await plan.memo().completed == 2)
        try await test.stop()
    }
}
