// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("A duplicate of a better priority gives it to the live task (T11, T16)", .timeLimit(.minutes(15)))
struct UpgradeTests {
    private let files = SimulatedFileSystem()

    private func priority(of id: TaskID, _ scheduler: TaskScheduler) -> UInt8? {
        let store = scheduler.core.store
        return store.detail(of: id)?.priority ?? store.run(of: id)?.priority
    }

    @Test("The waiting task moves up and the handle is its own; one that is not better changes nothing")
    func movesUp() async throws {
        let order = Mutex<[Int]>([])
        let gate = Gate()
        try await withScheduler(files, concurrency: 1) {
            $0.register(
                StepHandler { step, _ in
                    order.withLock { $0.append(step.number) }
                    if step.number == 0 { await gate.pass() }
                    return 0
                })
        } _: { scheduler in
            func submit(_ number: Int, _ priority: UInt8, _ policy: DuplicatePolicy? = nil) async throws
                -> TaskHandle<Step>
            {
                let options = TaskOptions(key: "\(number)", onDuplicate: policy, priority: priority)
                return try await scheduler.submit(Step(number: number), options: options)
            }
            let blocker = try await scheduler.submit(Step(number: 0))
            try await eventually { order.withLock { $0.count } == 1 }
            var handles: [TaskHandle<Step>] = []
            for number in 1...4 { handles.append(try await submit(number, 100)) }
            let upgraded = try await submit(3, 50)
            #expect(upgraded.submission == .upgraded && upgraded.id == handles[2].id)
            #expect(try await submit(3, 51).submission == .duplicate)
            #expect(try await submit(4, 1, .ignore).submission == .duplicate)
            await #expect(throws: SchedulerError.self) { try await submit(4, 1, .reject) }
            #expect(priority(of: handles[3].id, scheduler) == 100)
            gate.open()
            _ = try await blocker.memo()
            for handle in handles { _ = try await handle.memo() }
        }
        #expect(order.withLock { $0 } == [0, 3, 1, 2, 4])
    }

    @Test("It is durable before the submission returns, and outlives a crash")
    func durable() async throws {
        let first = try await idleScheduler(files) { $0.register(StepHandler()) }
        let id = try await first.submit(Step(number: 1), options: TaskOptions(key: "a", priority: 100)).id
        let again = try await first.submit(
            contentsOf: [1, 2, 3].map { Step(number: $0) }, options: TaskOptions(priority: 7),
            key: { ["a", "b", "a"][$0.number - 1] })
        #expect(again.map(\.submission) == [.duplicate, .inserted, .upgraded] && again[2].id == id)
        let remains = files.crash(keeping: .dropAll)
        try await first.close()
        let second = try await idleScheduler(remains) { $0.register(StepHandler()) }
        #expect(priority(of: id, second) == 7)
        #expect(try await second.task(id)?.priority == 7)
        try await second.close()
    }

    @Test("Children and siblings do so too, with the commit of their spawner or ahead of it, also from a stage")
    func children() async throws {
        let options = { @Sendable (priority: UInt8) in
            TaskOptions(key: "late", priority: priority, group: "held")
        }
        let late = Mutex(TaskID.none)
        let gate = Gate()
        try await withScheduler(files) {
            $0.register(
                StepHandler { step, context in
                    if step.number == 1 { try context.spawnSibling(Step(number: 9), options: options(60)) }
                    await gate.pass()
                    return 0
                })
            $0.register(
                ClosureHandler(Bulk.self) { _, _ in
                    await gate.pass()
                    return NoMemo()
                })
            $0.register(
                PlanHandler(onExecute: { _, context in
                    let first = try await context.spawnNow(Step(number: 9), options: options(200))
                    let second = try await context.spawnNow(Step(number: 9), options: options(190))
                    #expect(first.submission == .inserted)
                    #expect(second == SpawnedTask(id: first.id, submission: .upgraded))
                    let stream = AsyncStream { continuation in
                        continuation.yield(Step(number: 9))
                        continuation.finish()
                    }
                    try await context.spawnChildren(from: stream, options: options(180))
                    #expect(context.core.store.detail(of: first.id)?.priority == 180)
                    try context.spawnChild(Step(number: 9), options: options(90))
                    // So much goes to the log ahead of the commit, and the duplicate with it.
                    try context.spawnChild(Bulk())
                    try context.spawnChild(Step(number: 1))
                    late.withLock { $0 = first.id }
                    await gate.pass()
                }))
        } _: { scheduler in
            try await scheduler.pause(.group("held"))
            let plan = try await scheduler.submit(Plan(children: 1))
            try await eventually { late.withLock { $0 } != .none }
            let id = late.withLock { $0 }
            try await eventually {
                scheduler.core.store.shared.committed.withLock { $0.state.stages.values.contains { $0.count > 0 } }
            }
            #expect(priority(of: id, scheduler) == 180, "what is staged has no effect before its commit")
            gate.open()
            try await eventually { priority(of: id, scheduler) == 60 }
            try await scheduler.resume(.group("held"))
            #expect(try await plan.memo().completed == 3)
        }
    }
}

/// So large that spawning one has spawns staged.
private struct Bulk: DurableTask {
    static let type: TaskType = "test.bulk"
    typealias Memo = NoMemo

    func encodePayload(into writer: inout ByteWriter) { writer.append(zeros: 5 << 20) }
    static func decodePayload(_ bytes: RawSpan) throws -> Bulk { Bulk() }
}
