// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// The parent of one ``Plan``.
private struct Upper: OrchestratorHandler {
    struct Work: DurableTask {
        static let type: TaskType = "test.upper"
        var steps: Int
        typealias Memo = NoMemo
    }

    func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
        try context.spawnChild(Plan(children: task.steps))
        return NoHandover()
    }

    func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> NoMemo { NoMemo() }
}

@Suite("No task is left that neither runs nor ends", .timeLimit(.minutes(20)))
struct LimboTests {
    /// Leaves a tree whose plan has had its children and has not been finalized: it waits for its next attempt, or
    /// its first one was cut short by a crash.
    private func leavePlan(isRetrying: Bool) async throws -> (files: SimulatedFileSystem, root: TaskID, plan: TaskID) {
        let files = SimulatedFileSystem()
        let image = Mutex<SimulatedFileSystem?>(nil)
        let test = try await TestScheduler(files: files) {
            $0.register(Upper(), onChildFailure: .tolerate)
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onFinalize: { _ in
                    image.withLock { $0 = $0 ?? files.crash(keeping: .keepAll) }
                    throw Trouble("not yet")
                }), retry: .constant(.seconds(60), attempts: 100), onChildFailure: .tolerate)
        }
        let root = try await test.scheduler.submit(Upper.Work(steps: 3)).id
        await test.runUntilIdle()
        let plan = try #require(test.scheduler.core.store.liveTasks().runs.last?.run.firstID)
        try await test.stop()
        return (isRetrying ? files : try #require(image.withLock { $0 }), root, plan)
    }

    @Test(
        "A parent whose type has no handler any more can be cancelled when its children have ended (T9, T10)",
        arguments: [true, false], [true, false])
    func heldParent(isRetrying: Bool, isCancelledWithRoot: Bool) async throws {
        let (files, root, plan) = try await leavePlan(isRetrying: isRetrying)
        let test = try await TestScheduler(files: files) {
            $0.register(Upper(), onChildFailure: .tolerate)
            $0.register(StepHandler())
        }
        await test.advance(by: .seconds(3600))
        #expect(test.scheduler.heldTypes == [HeldType(name: "test.plan", count: 1)])
        #expect(try await test.scheduler.cancel(isCancelledWithRoot ? root : plan))
        await test.runUntilIdle()
        #expect(test.scheduler.core.store.totals.live == 0)
        #expect(try test.scheduler.core.store.children(of: root).counts.cancelled == 1)
        try await test.stop()
    }

    @Test("Suspects that a suspect waits for run while it waits (T14)")
    func suspectsThatWaitForSuspects() async throws {
        let isHanging = Mutex(true)
        func open(_ files: SimulatedFileSystem) async throws -> (TaskScheduler, Task<Void, any Error>) {
            let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) {
                $0.register(
                    StepHandler { _, _ in
                        while isHanging.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(1)) }
                        return 1
                    })
                $0.register(
                    PlanHandler(onExecute: { plan, context in
                        let steps = AsyncStream { continuation in
                            for number in 0..<plan.children { continuation.yield(Step(number: number)) }
                            continuation.finish()
                        }
                        try await context.spawnChildren(from: steps, chunk: 4, pendingLimit: 4)
                    }), onChildFailure: .tolerate)
            }
            return (scheduler, Task { try await scheduler.run() })
        }
        // The first pulls after a crash are noted on disk.
        var files = SimulatedFileSystem()
        let idle = try await idleScheduler(files) { $0.register(PlanHandler()) }
        let id = try await idle.submit(Plan(children: 40)).id
        files = files.crash(keeping: .keepAll)
        let (first, service) = try await open(files)
        try await eventually { first.core.store.liveTasks().inFlight.count == 5 }
        files = files.crash(keeping: .keepAll)
        service.cancel()
        _ = await service.result

        isHanging.withLock { $0 = false }
        let (second, again) = try await open(files)
        #expect(try await second.handle(for: id, of: Plan.self).memo().completed == 40)
        second.triggerGracefulShutdown()
        try await again.value
    }

    @Test("After a crash a scheduler opens a store on a full disk too, and judges its tasks at the next start (T14)")
    func fullAfterCrash() async throws {
        let files = SimulatedFileSystem()
        let test = try await TestScheduler(files: files) { $0.register(StepHandler()) }
        try await test.scheduler.pause(.everything)
        let id = try await test.scheduler.submit(Step(number: 1)).id
        var note = Transaction()
        note.noteInFlight([id])
        try await test.scheduler.core.store.append(note)
        let image = files.crash(keeping: .keepAll)
        try await test.stop()
        func open(_ files: SimulatedFileSystem) async throws -> TaskScheduler {
            try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) { $0.register(StepHandler()) }
        }
        var faults = FaultPlan()
        faults.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "log-0000000002")
        image.faults = faults
        let full = try await open(image)
        #expect(full.core.store.detail(of: id)?.crashes == nil)
        let second = try await open(image.crash(keeping: .keepAll))
        try? await full.close()
        #expect(second.core.store.detail(of: id)?.crashes == 1)
        try await second.close()
    }

    @Test("A graceful stop ends, though a handler waits for a task that does not start any more (T3)")
    func stopWhileAHandlerWaits() async throws {
        let known = Mutex<TaskScheduler?>(nil)
        let journal = Journal()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(SimulatedFileSystem())) {
            $0.register(
                StepHandler { step, _ in
                    guard step.number == 1, let scheduler = known.withLock({ $0 }) else { return 0 }
                    let options = TaskOptions(start: .after(.seconds(3600)))
                    let other = try await scheduler.submit(Step(number: 2), options: options)
                    journal.note("waits")
                    do { return try await other.memo().value } catch let error as SchedulerError {
                        journal.note("\(error.code)")
                        throw error
                    }
                })
        }
        known.withLock { $0 = scheduler }
        let service = Task { try await scheduler.run() }
        _ = try await scheduler.submit(Step(number: 1))
        try await journal.wait(for: "waits")
        scheduler.triggerGracefulShutdown()
        try await service.value
        #expect(journal.count("stopped") == 1)
        known.withLock { $0 = nil }
    }

    @Test("Who waits for a task hears of it when the store fails before run() is called")
    func failureBeforeRun() async throws {
        let files = SimulatedFileSystem()
        let scheduler = try await idleScheduler(files) { $0.register(StepHandler()) }
        let handle = try await scheduler.submit(Step(number: 1))
        var faults = FaultPlan()
        faults.fail(.synchronize, at: 1, with: .ioError, .fromThenOn, in: "log-")
        files.faults = faults
        await #expect(throws: SchedulerError.self) { try await scheduler.submit(Step(number: 2)) }
        await #expect(throws: SchedulerError.self) { try await scheduler.run() }
        await #expect(throws: SchedulerError.self) { try await handle.memo() }
        await #expect(throws: SchedulerError.self) {
            try await scheduler.handle(for: handle.id, of: Step.self).memo()
        }
    }

    @Test("A second scheduler on an open store is refused, and the first one goes on")
    func secondScheduler() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.open(at: "/store", fileSystem: files)
        let first = try await TaskScheduler(store: store, configuration: .simulated(files)) {
            $0.register(StepHandler())
        }
        let service = Task { try await first.run() }
        for registers in [true, false] {
            let error = await #expect(throws: (any Error).self) {
                _ = try await TaskScheduler(store: store, configuration: .simulated(files)) {
                    if !registers { throw Trouble("nothing to register") }
                    $0.register(StepHandler())
                }
            }
            #expect((error as? SchedulerError)?.code == .storeTaken)
        }
        #expect(try await first.submit(Step(number: 7)).memo().value == 7)
        first.triggerGracefulShutdown()
        try await service.value
    }
}
