// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern

/// A directory of a made-up tree: spawns a sibling for each directory below it.
private struct Directory: DurableTask {
    static let type: TaskType = "test.directory"
    var depth: Int
    var width: Int
    typealias Memo = Step.Memo
}

private struct DirectoryHandler: TaskHandler {
    func execute(_ task: Directory, in context: TaskContext) async throws -> Step.Memo {
        if task.depth > 0 {
            for _ in 0..<task.width {
                try context.spawnSibling(Directory(depth: task.depth - 1, width: task.width))
            }
        }
        return Step.Memo(value: 1)
    }
}

/// A tree of orchestrators: each adds up what its children, orchestrators themselves, added up.
private struct Tree: DurableTask {
    static let type: TaskType = "test.tree"
    var depth: Int
    var width: Int
    typealias Memo = Step.Memo
}

private struct TreeHandler: OrchestratorHandler {
    func execute(_ task: Tree, in context: TaskContext) async throws -> Int64 {
        guard task.depth > 0 else { return 1 }
        for _ in 0..<task.width { try context.spawnChild(Tree(depth: task.depth - 1, width: task.width)) }
        return 1
    }

    func finalize(_ task: Tree, handover: Int64, in context: FinalizeContext) async throws -> Step.Memo {
        Step.Memo(value: try context.reduceMemos(of: Tree.self, into: handover) { $0 += $1.value })
    }
}

@Suite("Hierarchy: parents, children and what they leave", .timeLimit(.minutes(20)))
struct HierarchyTests {
    @Test(
        "A parent's finalize sees the memo of every child and the hand-over (T2, T3, T5)",
        arguments: [0, 1, 3, 64, 65, 1000])
    func fanOutAndIn(children: Int) async throws {
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(PlanHandler())
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: children)).memo()
            #expect(memo.sum == Int64(children * (children - 1) / 2))
            #expect(memo.completed == UInt64(children))
            #expect(memo.note == "attempt 1")
        }
    }

    @Test("Siblings that spawn siblings all end up with the one parent (T6, T7)")
    func waves() async throws {
        let seen = Mutex<UInt64>(0)
        try await withScheduler {
            $0.register(DirectoryHandler())
            $0.register(StepHandler())
            $0.register(
                PlanHandler(
                    onExecute: { _, context in try context.spawnChild(Directory(depth: 5, width: 4)) },
                    onFinalize: { context in
                        var sum: Int64 = 0
                        try context.forEachMemo(of: Directory.self) { sum += $0.value }
                        seen.withLock { $0 = UInt64(sum) }
                    }))
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 0)).memo()
            #expect(memo.completed == 1365)
            #expect(seen.withLock { $0 } == 1365)
        }
    }

    @Test("Trees of orchestrators add up, whatever their depth (T5)", arguments: [(0, 1), (1, 5), (5, 3), (40, 1)])
    func deepTrees(depth: Int, width: Int) async throws {
        try await withScheduler {
            $0.register(TreeHandler())
        } _: { scheduler in
            let memo = try await scheduler.submit(Tree(depth: depth, width: width)).memo()
            let expected = (0...depth).reduce(0) { sum, _ in sum * Int64(width) + 1 }
            #expect(memo.value == expected)
        }
    }

    @Test("A root task that asks for a sibling gets a typed error and may go on (T7)")
    func rootSibling() async throws {
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    #expect(context.parent == .none)
                    let error = #expect(throws: SchedulerError.self) { try context.spawnSibling(Step(number: 2)) }
                    #expect(error?.code == .noParent)
                    return 7
                })
        } _: { scheduler in
            let answer = try await scheduler.submit(Step(number: 1)).memo()
            #expect(answer.value == 7)
        }
    }

    @Test("A handler without finalize that asks for a child gets a typed error")
    func leafChild() async throws {
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    let error = #expect(throws: SchedulerError.self) { try context.spawnChild(Step(number: 2)) }
                    #expect(error?.code == .notAnOrchestrator)
                    return 1
                })
        } _: { scheduler in
            let answer = try await scheduler.submit(Step(number: 1)).memo()
            #expect(answer.value == 1)
        }
    }

    @Test("Two parents never see each other's children (T11)")
    func scopes() async throws {
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(PlanHandler())
        } _: { scheduler in
            let sums = try await withThrowingTaskGroup(of: (Int, Int64).self) { group in
                for count in 1...40 {
                    group.addTask { (count, try await scheduler.submit(Plan(children: count)).memo().sum) }
                }
                return try await group.reduce(into: [Int: Int64]()) { $0[$1.0] = $1.1 }
            }
            for count in 1...40 { #expect(sums[count] == Int64(count * (count - 1) / 2)) }
        }
    }

    @Test("A failed attempt leaves none of its spawns behind (T6)")
    func failedAttemptSpawnsNothing() async throws {
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    if step.number == 0 {
                        for _ in 0..<10 { try context.spawnSibling(Step(number: 100)) }
                        if context.attempt < 3 { throw Trouble("not yet") }
                    }
                    return Int64(step.number)
                }, retry: .constant(.milliseconds(1), attempts: 5))
            $0.register(PlanHandler())
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 3)).memo()
            #expect(memo.completed == 13)
            #expect(memo.sum == 1003)
        }
    }

    @Test("A context that is used after its handler returned says so")
    func expiredContext() async throws {
        let kept = Mutex<TaskContext?>(nil)
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    kept.withLock { $0 = context }
                    return 0
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            _ = try await scheduler.submit(Plan(children: 1)).memo()
            let context = try #require(kept.withLock { $0 })
            let error = #expect(throws: SchedulerError.self) { try context.spawnSibling(Step(number: 2)) }
            #expect(error?.code == .contextExpired)
        }
    }

    @Test("The context of a finalize that a cancel cut short says so, too (T10)")
    func expiredFinalizeContext() async throws {
        let kept = Mutex<FinalizeContext?>(nil)
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onFinalize: { context in
                    kept.withLock { $0 = context }
                    try await Task.sleep(for: .seconds(3600))
                }))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 1))
            try await eventually { kept.withLock { $0 != nil } }
            try await scheduler.cancel(handle.id)
            #expect(try await handle.outcome().kind == .cancelled)
            let context = try #require(kept.withLock { $0 })
            let error = #expect(throws: SchedulerError.self) { try context.savedState(as: Int.self) }
            #expect(error?.code == .contextExpired)
        }
    }

    @Test("The outcome of each child is listed with its facts (T1, T2)")
    func outcomes() async throws {
        let listed = Mutex<[ChildOutcome<Step>]>([])
        let failures = Mutex<[ChildFailure]>([])
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    if step.number % 3 == 0 { throw PermanentError(reason: "third", detail: "\(step.number)") }
                    return Int64(step.number)
                })
            $0.register(
                PlanHandler(onFinalize: { context in
                    for try await child in context.children(of: Step.self) { listed.withLock { $0.append(child) } }
                    for try await failure in context.failures() { failures.withLock { $0.append(failure) } }
                }), onChildFailure: .tolerate)
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 100))
            let memo = try await handle.memo()
            #expect(memo.completed == 66 && memo.failures == 34)
            let children = listed.withLock { $0 }
            #expect(children.count == 100)
            #expect(Set(children.map(\.id)).count == 100)
            #expect(children.allSatisfy { $0.id > handle.id && $0.attempts == 1 && $0.endedAt >= $0.startedAt })
            for child in children {
                switch child.result {
                case .success(let memo): #expect(child.kind == .completed && memo.value % 3 != 0)
                case .failure(.ended(let kind, let failure)):
                    #expect(kind == .failed && child.kind == .failed && failure.reason == "third")
                case .failure(.undecodable): Issue.record("a memo that cannot be decoded")
                }
            }
            let failed = failures.withLock { $0 }
            #expect(failed.map(\.id) == children.filter { $0.kind == .failed }.map(\.id))
            #expect(failed.allSatisfy { $0.type == "test.step" })
        }
    }

    @Test("A root's outcome can be asked for several times, by several callers, and after the end")
    func handles() async throws {
        try await withScheduler {
            $0.register(StepHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 5))
            async let first = handle.memo()
            async let second = handle.memo()
            #expect(try await first.value == 5)
            #expect(try await second.value == 5)
            let outcome = try await handle.outcome()
            #expect(outcome.kind == .completed)
            let again = scheduler.handle(for: handle.id, of: Step.self)
            let answer = try await again.memo()
            #expect(answer.value == 5)
            let error = await #expect(throws: SchedulerError.self) {
                try await scheduler.handle(for: TaskID(9_999), of: Step.self).memo()
            }
            #expect(error?.code == .unknownTask)
        }
    }

    @Test("A caller who is cancelled stops waiting, and the task goes on")
    func cancelledWaiter() async throws {
        let gate = Gate()
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    await gate.pass()
                    return 3
                })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            let waiter = Task { try await handle.memo() }
            waiter.cancel()
            await #expect(throws: CancellationError.self) { try await waiter.value }
            gate.open()
            let answer = try await handle.memo()
            #expect(answer.value == 3)
        }
    }
}
