// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import ServiceLifecycle
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Restart: what a stop or a crash leaves", .timeLimit(.minutes(20)))
struct RestartTests {
    private func register(_ registry: inout Registry, journal: Journal = Journal(), fails: Bool = false) {
        registry.register(
            StepHandler { step, context in
                journal.note("step \(step.number)")
                return Int64(step.number)
            })
        registry.register(
            PlanHandler(
                onExecute: { plan, context in
                    journal.note("execute")
                    for number in 0..<plan.children { try context.spawnChild(Step(number: number)) }
                },
                onFinalize: { _ in journal.note("finalize") }))
    }

    @Test("What was submitted before run() is done by the next process (T3)")
    func submitThenRestart() async throws {
        let files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { register(&$0) }
        let id = try await first.submit(Plan(children: 10)).id
        try await first.close()
        let second = try await idleScheduler(files) { register(&$0) }
        let handles = try second.unfinished(Plan.self)
        #expect(handles.map(\.id) == [id])
        #expect(try second.unfinished(Step.self).isEmpty)
        let service = Task { try await second.run() }
        let answer = try await handles.first?.memo()
        #expect(answer?.sum == 45)
        second.core.stop(immediately: false)
        try await service.value
    }

    @Test("A graceful stop lets handlers finish, and the rest goes on after it")
    func gracefulStop() async throws {
        let files = SimulatedFileSystem()
        let gate = Gate()
        let journal = Journal()
        let scheduler = try await TaskScheduler(
            storeAt: "/store", configuration: .simulated(files, concurrency: 2)
        ) {
            $0.register(
                StepHandler { step, _ in
                    journal.note("started")
                    await gate.pass()
                    return 1
                })
            $0.register(PlanHandler())
        }
        let group = ServiceGroup(
            configuration: .init(services: [scheduler], logger: scheduler.core.logger))
        let service = Task { try await group.run() }
        let handle = try await scheduler.submit(Plan(children: 100))
        try await journal.wait(for: "started", count: 2)
        await group.triggerGracefulShutdown()
        try await eventually { scheduler.core.read { $0.phase == .stopping } }
        gate.open()
        try await service.value
        let error = await #expect(throws: SchedulerError.self) { try await handle.memo() }
        #expect(error?.code == .stopped)
        #expect(journal.count("started") == 2)

        let again = Journal()
        try await withScheduler(files) {
            register(&$0, journal: again)
        } _: { scheduler in
            #expect(scheduler.core.store.recovery.wasClean)
            let memo = try await scheduler.handle(for: handle.id, of: Plan.self).memo()
            #expect(memo.completed == 100)
            #expect(again.count("execute") == 0)
        }
    }

    @Test("An immediate stop cancels handlers; their tasks are pending again with no attempt counted (T14)")
    func immediateStop() async throws {
        let files = SimulatedFileSystem()
        let journal = Journal()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) {
            $0.register(
                StepHandler { step, _ in
                    journal.note("started")
                    try await Task.sleep(for: .seconds(1000))
                    return 1
                })
        }
        let service = Task { try await scheduler.run() }
        let handle = try await scheduler.submit(Step(number: 4))
        try await journal.wait(for: "started")
        service.cancel()
        await #expect(throws: CancellationError.self) { try await service.value }

        let attempts = Mutex<[UInt32]>([])
        try await withScheduler(files) {
            $0.register(
                StepHandler { step, context in
                    attempts.withLock { $0.append(context.attempt) }
                    return Int64(step.number)
                })
        } _: { scheduler in
            let answer = try await scheduler.handle(for: handle.id, of: Step.self).memo()
            #expect(answer.value == 4)
            #expect(attempts.withLock { $0 } == [1])
        }
    }

    @Test("A stop in finalize repeats finalize alone (T4)")
    func stopInFinalize() async throws {
        let files = SimulatedFileSystem()
        let journal = Journal()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onFinalize: { _ in
                    journal.note("finalize")
                    try await Task.sleep(for: .seconds(1000))
                }))
        }
        let service = Task { try await scheduler.run() }
        let handle = try await scheduler.submit(Plan(children: 70))
        try await journal.wait(for: "finalize")
        service.cancel()
        _ = await service.result
        let again = Journal()
        try await withScheduler(files) {
            register(&$0, journal: again)
        } _: { scheduler in
            let memo = try await scheduler.handle(for: handle.id, of: Plan.self).memo()
            #expect(memo.completed == 70 && memo.note == "attempt 1")
            #expect(again.all == ["finalize": 1])
        }
    }

    @Test("A retry that waits when the process ends waits on in the next (T15)")
    func retryAcrossRestart() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock(now: Timestamp(milliseconds: 1000))
        let handler = StepHandler { step, context in
            if context.attempt == 1 { throw Trouble("once") }
            return Int64(context.attempt)
        }
        let retry = RetryPolicy.constant(.seconds(60), attempts: 2)
        let id = try await withScheduler(files, clock: clock) {
            $0.register(handler, retry: retry)
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            await clock.waitForSleepers(1)
            return handle.id
        }
        try await withScheduler(files, clock: clock) {
            $0.register(handler, retry: retry)
        } _: { scheduler in
            await clock.waitForSleepers(1)
            #expect(clock.nextDeadline == Timestamp(milliseconds: 61_000))
            clock.advance(by: 60_000)
            let answer = try await scheduler.handle(for: id, of: Step.self).memo()
            #expect(answer.value == 2)
        }
    }

    @Test("Tasks of a type without a handler are kept, not run and not failed")
    func unknownType() async throws {
        let files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { register(&$0) }
        let id = try await first.submit(Step(number: 3)).id
        try await first.close()
        try await withScheduler(files) {
            $0.register(PlanHandler())
        } _: { scheduler in
            #expect(scheduler.statistics.held == 1)
        }
        try await withScheduler(files) {
            register(&$0)
        } _: { scheduler in
            let answer = try await scheduler.handle(for: id, of: Step.self).memo()
            #expect(answer.value == 3)
        }
    }

    /// Runs a plan until the machine stops at a given call, then finishes it on what the power loss left.
    @Test(
        "After a power loss at any call, each child counts once and the plan ends right (T3, T4, T6)", arguments: 1...40
    )
    func powerLoss(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let files = SimulatedFileSystem()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files, concurrency: 3)) {
            $0.register(WaveHandler())
            $0.register(StepHandler())
            $0.register(PlanHandler(onExecute: { _, context in try context.spawnChild(Wave(depth: 4)) }))
        }
        files.faults = .crashing(afterCall: Int.random(in: 3...60, using: &generator))
        let service = Task { try await scheduler.run() }
        let handle = try? await scheduler.submit(Plan(children: 0))
        _ = try? await handle?.memo()
        service.cancel()
        _ = await service.result

        let left = files.crash(keeping: .random(seed: seed))
        try await withScheduler(left) {
            $0.register(WaveHandler())
            $0.register(StepHandler())
            $0.register(
                PlanHandler(
                    onExecute: { _, context in try context.spawnChild(Wave(depth: 4)) },
                    onFinalize: { context in
                        #expect(context.counts.total == 121)
                        var sum: Int64 = 0
                        for try await memo in context.childMemos(of: Wave.self) { sum += memo.value }
                        #expect(sum == 121)
                    }))
        } _: { scheduler in
            guard let id = handle?.id else { return }
            let answer = try await scheduler.handle(for: id, of: Plan.self).memo()
            #expect(answer.completed == 121)
        }
    }

    private struct Wave: DurableTask {
        static let type: TaskType = "test.wave"
        var depth: Int
        typealias Memo = Step.Memo
    }

    private struct WaveHandler: TaskHandler {
        func execute(_ task: Wave, in context: TaskContext) async throws -> Step.Memo {
            if task.depth > 0 { for _ in 0..<3 { try context.spawnSibling(Wave(depth: task.depth - 1)) } }
            return Step.Memo(value: 1)
        }
    }

    @Test("A task that keeps killing the process is quarantined, and the others are not (T14)", arguments: [2, 5])
    func quarantine(limit: UInt8) async throws {
        var files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { register(&$0) }
        let killer = try await first.submit(Step(number: 666)).id
        let innocent = try await first.submit(Step(number: 1)).id
        // The process dies without closing the store, each time while the killer runs.
        files = files.crash(keeping: .keepAll)
        for round in 0..<limit + 3 {
            let journal = Journal()
            var configuration = TaskScheduler.Configuration.simulated(files, concurrency: 1)
            configuration.crashLimit = limit
            let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration) {
                $0.register(
                    StepHandler { step, _ in
                        if step.number == 666 {
                            journal.note("killer")
                            try await Task.sleep(for: .seconds(1000))
                        }
                        return 1
                    })
            }
            let service = Task { try await scheduler.run() }
            try await eventually { journal.count("killer") == 1 || scheduler.core.store.totals.live == 0 }
            if journal.count("killer") == 0 {
                let outcome = try await scheduler.handle(for: killer, of: Step.self).outcome()
                guard case .failure(.ended(.deadLettered, let failure)) = outcome.result else {
                    throw Trouble("\(outcome)")
                }
                #expect(failure.reason == "quarantined")
                #expect(try await scheduler.deadLetters().collect().map(\.canRunAgain) == [true])
                let answer = try await scheduler.handle(for: innocent, of: Step.self).outcome()
                #expect(answer.kind == .completed)
                scheduler.core.stop(immediately: true)
                _ = await service.result
                #expect(round == limit)
                return
            }
            files = files.crash(keeping: .keepAll)
            service.cancel()
            _ = await service.result
        }
        Issue.record("the killer was never quarantined")
    }

    /// Handlers that have begun when the process dies, and never end.
    private static func registerEndless(_ journal: Journal) -> (inout Registry) -> Void {
        { registry in
            registry.register(PlanHandler())
            registry.register(
                StepHandler { _, _ in
                    journal.note("started")
                    await Gate().pass()
                    return 1
                })
        }
    }

    /// Lets a process die while so many steps run that an earlier one, which died as well, left.
    ///
    /// - Parameters:
    ///   - submit: what the earlier process does.
    ///   - act: what happens before the death.
    /// - Returns: for the next process, which sets aside what was running once.
    private static func dieRunning<Submitted>(
        _ steps: Int, _ submit: (TaskScheduler) async throws -> Submitted,
        _ act: (TaskScheduler, Submitted) async throws -> Void = { _, _ in }
    ) async throws -> (Submitted, SimulatedFileSystem, TaskScheduler.Configuration) {
        let journal = Journal()
        var files = SimulatedFileSystem()
        let first = try await idleScheduler(files, registerEndless(journal))
        let submitted = try await submit(first)
        files = files.crash(keeping: .keepAll)
        // It must not have been closed before.
        #expect(first.core.store.totals.live > 0)
        var configuration = TaskScheduler.Configuration.simulated(files)
        configuration.crashLimit = 1
        let second = try await TaskScheduler(
            storeAt: "/store", configuration: configuration, registerEndless(journal))
        let service = Task { try await second.run() }
        try await journal.wait(for: "started", count: steps)
        try await act(second, submitted)
        files = files.crash(keeping: .keepAll)
        second.core.stop(immediately: true)
        _ = service
        configuration.fileSystem = files
        return (submitted, files, configuration)
    }

    @Test("T10, T14: what was to be cancelled when the process died ends as cancelled, however often it was running")
    func cancelledKiller() async throws {
        let children = Mutex<[TaskID]>([])
        let ((alone, parent), _, configuration) = try await Self.dieRunning(2) { first in
            (try await first.submit(Step(number: 1)).id, try await first.submit(Plan(children: 1)).id)
        } _: { second, submitted in
            let child = second.core.store.liveTasks().runs.first { $0.run.parent == submitted.1 }
            children.withLock { $0 = [child?.run.firstID ?? .none] }
            try await second.cancel(submitted.0)
            try await second.cancel(submitted.1)
        }
        try await withScheduler(configuration, Self.registerEndless(Journal())) { scheduler in
            #expect(try await scheduler.handle(for: alone, of: Step.self).outcome().kind == .cancelled)
            #expect(try await scheduler.handle(for: parent, of: Plan.self).outcome().kind == .cancelled)
            let ended = try scheduler.core.store.children(of: parent).outcomes()
            #expect(ended.map(\.id) == children.withLock { $0 } && ended.map(\.kind) == [.cancelled])
        }
    }

    @Test("S4, T14: a quarantine for which a payload cannot be read is put off, and no crash is forgotten")
    func quarantineWithoutPayload() async throws {
        let (id, files, configuration) = try await Self.dieRunning(1) { try await $0.submit(Step(number: 1)).id }
        files.faults.fail(.read, at: 1, with: .noSpace, .fromThenOn, in: "log-")
        let third = try await TaskScheduler(
            storeAt: "/store", configuration: configuration, Self.registerEndless(Journal()))
        #expect(third.core.store.isLive(id) && third.core.store.detail(of: id)?.crashes == 1)
        try await third.close()
    }

    @Test(
        "A finalize that keeps killing the process is quarantined, unless there is no limit (T14)", arguments: [2, nil])
    func quarantineOfFinalize(limit: UInt8?) async throws {
        var files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { register(&$0) }
        let id = try await first.submit(Plan(children: 2)).id
        files = files.crash(keeping: .keepAll)
        for round in 0..<5 {
            let journal = Journal()
            var configuration = TaskScheduler.Configuration.simulated(files, concurrency: 1)
            configuration.crashLimit = limit
            let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration) {
                $0.register(StepHandler())
                $0.register(
                    PlanHandler(onFinalize: { _ in
                        journal.note("finalize")
                        try await Task.sleep(for: .seconds(1000))
                    }))
            }
            let service = Task { try await scheduler.run() }
            try await eventually { journal.count("finalize") == 1 || scheduler.core.store.totals.live == 0 }
            if journal.count("finalize") == 0 {
                let outcome = try await scheduler.handle(for: id, of: Plan.self).outcome()
                #expect(outcome.kind == .deadLettered)
                #expect(limit.map { round == Int($0) } ?? false, "round \(round)")
                scheduler.core.stop(immediately: true)
                _ = await service.result
                return
            }
            files = files.crash(keeping: .keepAll)
            service.cancel()
            _ = await service.result
        }
        #expect(limit == nil, "never quarantined")
    }
}
