// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern

/// Notes each cancelled step, as the test says.
private struct HookedHandler: TaskHandler, CancelHandling {
    typealias Work = Step
    let journal: Journal
    var hook: @Sendable (Step) async throws -> Void = { _ in }

    func execute(_ task: Step, in context: TaskContext) async throws -> Step.Memo {
        journal.note("runs")
        try await Task.sleep(for: .seconds(1000))
        return Step.Memo(value: 1)
    }

    func cancelled(_ task: Step, id: TaskID) async throws {
        journal.note("hook \(task.number)")
        try await hook(task)
    }
}

@Suite("Cancel: transitive, with one outcome each (T10)", .timeLimit(.minutes(20)))
struct CancelTests {
    private func counts(_ scheduler: TaskScheduler, of id: TaskID) throws -> OutcomeCounts {
        try scheduler.core.store.children(of: id).counts
    }

    @Test("A cancelled tree ends everywhere: running, waiting and delayed tasks, and all parents")
    func cancelTree() async throws {
        let journal = Journal()
        try await withScheduler(concurrency: 3) {
            $0.register(
                StepHandler { step, context in
                    if step.number == 0 { throw Trouble("retry me much later") }
                    journal.note("runs")
                    try await Task.sleep(for: .seconds(1000))
                    return 0
                }, retry: .constant(.seconds(3600), attempts: 3))
            $0.register(PlanHandler(onFinalize: { _ in journal.note("finalize") }))
            $0.register(Upper())
        } _: { scheduler in
            let handle = try await scheduler.submit(Upper.Work(plans: 5))
            try await journal.wait(for: "runs", count: 1)
            try await eventually { scheduler.statistics.delayed > 0 }
            #expect(try await scheduler.cancel(handle.id))
            let error = await #expect(throws: TaskFailedError.self) { try await handle.memo() }
            #expect(error?.kind == .cancelled)
            #expect(try counts(scheduler, of: handle.id).cancelled == 5)
            #expect(journal.count("finalize") == 0)
            #expect(scheduler.core.store.totals.live == 0)
            #expect(try await scheduler.cancel(handle.id) == false)
        }
    }

    private struct Upper: OrchestratorHandler {
        struct Work: DurableTask {
            static let type: TaskType = "test.upper"
            var plans: Int
            typealias Memo = NoMemo
        }
        func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
            for _ in 0..<task.plans { try context.spawnChild(Plan(children: 100)) }
            return NoHandover()
        }
        func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> NoMemo {
            NoMemo()
        }
    }

    @Test("A cancelled handler's outcome is cancelled, whatever it returns")
    func ignoresCancellation() async throws {
        let gate = Gate()
        let journal = Journal()
        try await withScheduler {
            $0.register(
                StepHandler { _, context in
                    journal.note("runs")
                    await gate.pass()
                    #expect(context.isCancelled)
                    return 1
                })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            try await journal.wait(for: "runs")
            try await scheduler.cancel(handle.id)
            gate.open()
            let answer = try await handle.outcome()
            #expect(answer.kind == .cancelled)
        }
    }

    @Test("Cancelling one child leaves its siblings alone")
    func oneChild() async throws {
        let ids = Mutex<[Int: TaskID]>([:])
        let gate = Gate()
        try await withScheduler(concurrency: 8) {
            $0.register(
                StepHandler { step, context in
                    ids.withLock { $0[step.number] = context.id }
                    if step.number == 2 { try await Task.sleep(for: .seconds(1000)) }
                    try await gate.passOrThrow()
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 5))
            try await eventually { ids.withLock { $0.count } == 5 }
            try await scheduler.cancel(try #require(ids.withLock { $0[2] }))
            gate.open()
            let memo = try await handle.memo()
            #expect(memo.completed == 4)
            #expect(try counts(scheduler, of: handle.id).cancelled == 1)
        }
    }

    @Test("A parent that is finalizing can be cancelled")
    func cancelFinalize() async throws {
        let journal = Journal()
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onFinalize: { _ in
                    journal.note("finalize")
                    try await Task.sleep(for: .seconds(1000))
                }))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 10))
            try await journal.wait(for: "finalize")
            try await scheduler.cancel(handle.id)
            let answer = try await handle.outcome()
            #expect(answer.kind == .cancelled)
        }
    }

    @Test("Hooks run for every cancelled task, started or not, and their errors change nothing")
    func hooks() async throws {
        let journal = Journal()
        try await withScheduler(concurrency: 2) {
            $0.register(HookedHandler(journal: journal) { if $0.number == 3 { throw Trouble("hook") } })
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 70))
            try await journal.wait(for: "runs")
            try await scheduler.cancel(handle.id)
            let answer = try await handle.outcome()
            #expect(answer.kind == .cancelled)
            #expect(try counts(scheduler, of: handle.id).cancelled == 70)
            for number in 0..<70 { #expect(journal.count("hook \(number)") == 1) }
        }
    }

    @Test("A hook that hangs does not keep its task from ending")
    func hangingHook() async throws {
        let journal = Journal()
        let gate = Gate()
        try await withScheduler(hookLimit: .milliseconds(30)) {
            $0.register(HookedHandler(journal: journal) { _ in await gate.pass() })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            try await journal.wait(for: "runs")
            try await scheduler.cancel(handle.id)
            let answer = try await handle.outcome()
            #expect(answer.kind == .cancelled)
            gate.open()
        }
    }

    @Test("A task that was cancelled before the scheduler runs is never run")
    func beforeRun() async throws {
        let files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { $0.register(StepHandler()) }
        let id = try await first.submit(Step(number: 1)).id
        #expect(try await first.cancel(id))
        try await first.close()
        let journal = Journal()
        try await withScheduler(files) {
            $0.register(
                StepHandler { _, _ in
                    journal.note("runs")
                    return 1
                })
        } _: { scheduler in
            let outcome = try await scheduler.handle(for: id, of: Step.self).outcome()
            #expect(outcome.kind == .cancelled)
            #expect(journal.all.isEmpty)
        }
    }
}
