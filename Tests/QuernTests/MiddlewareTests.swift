// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

/// Notes who goes in and out.
private struct Noting: TaskMiddleware {
    var name: String
    var log: Log

    final class Log: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
        var submission = submission
        submission.options.tags.append(name)
        log.add("+\(name) submit")
        try await next(submission)
        log.add("-\(name) submit")
    }

    func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws {
        log.add("\(name) submit \(type(of: task).type) \(submission.options.tags)")
    }

    func execute(_ task: some DurableTask, in context: TaskContext, next: () async throws -> Void) async throws {
        log.add("+\(name) \(type(of: task).type)")
        defer { log.add("-\(name) \(type(of: task).type)") }
        try await next()
    }

    func finalize(_ task: some DurableTask, in context: FinalizeContext, next: () async throws -> Void) async throws {
        log.add("+\(name) finalize \(context.counts.completed)")
        try await next()
        log.add("-\(name) finalize")
    }
}

/// Does as the test says.
private struct Acting: TaskMiddleware {
    var onSubmit: @Sendable () throws -> Bool = { true }
    var onExecute: @Sendable (TaskContext) throws -> Bool = { _ in true }

    func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
        if try onSubmit() { try await next(submission) }
    }

    func execute(_ task: some DurableTask, in context: TaskContext, next: () async throws -> Void) async throws {
        if try onExecute(context) { try await next() }
    }
}

@Suite("TaskMiddleware: around submit, execute and finalize", .timeLimit(.minutes(15)))
struct MiddlewareTests {
    private let log = Noting.Log()

    private struct Steps: TaskDomain {
        var name = "steps"
        var inner: Noting
        func register(in registry: inout Registry) {
            registry.use { inner }
            registry.register(StepHandler())
        }
    }

    @Test("The first one is outermost, a domain's is innermost and around its own tasks alone")
    func order() async throws {
        try await withScheduler(concurrency: 1) {
            $0.use {
                Noting(name: "a", log: log)
                if true { Noting(name: "b", log: log) }
            }
            $0.register(PlanHandler())
            try $0.register(domain: Steps(inner: Noting(name: "c", log: log)))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 1), options: TaskOptions(tags: ["x"]))
            #expect(try await handle.memo().completed == 1)
        }
        // The caller hears of its task while that runs.
        let (submit, run) = (log.all.filter { $0.contains("submit") }, log.all.filter { !$0.contains("submit") })
        #expect(
            submit == [
                "+a submit", "+b submit", "a submit test.plan [\"x\", \"a\", \"b\"]",
                "b submit test.plan [\"x\", \"a\", \"b\"]", "-b submit", "-a submit",
            ])
        #expect(
            run == [
                "+a test.plan", "+b test.plan", "-b test.plan", "-a test.plan",
                "+a test.step", "+b test.step", "+c test.step", "-c test.step", "-b test.step", "-a test.step",
                "+a finalize 1", "+b finalize 1", "-b finalize", "-a finalize",
            ])
    }

    @Test("Options can be changed on the way")
    func options() async throws {
        let scheduler = try await idleScheduler {
            $0.use { Noting(name: "a", log: log) }
            $0.register(StepHandler())
        }
        let handles = try await scheduler.submit(contentsOf: [Step(number: 1), Step(number: 2)])
        let run = try #require(scheduler.core.store.run(of: handles[1].id))
        #expect(try TaskAttributes(decoding: scheduler.core.store.attributes(of: run)).tags == ["a"])
        #expect(log.all == ["+a submit", "a submit test.step [\"a\"]", "a submit test.step [\"a\"]", "-a submit"])
        try await scheduler.close()
    }

    @Test("What it throws is as if the handler had thrown it, and one that does not call the handler fails the task")
    func failures() async throws {
        let journal = Journal()
        let outcomes = try await withScheduler {
            $0.use {
                Acting(onExecute: { context in
                    if context.attempt < 3 { throw Trouble("not yet") }
                    return context.id.rawValue % 2 == 1
                })
            }
            $0.register(StepHandler.noting(in: journal), retry: .constant(.zero, attempts: 5))
        } _: { scheduler in
            let first = try await scheduler.submit(Step(number: 1)).outcome()
            return [first, try await scheduler.submit(Step(number: 2)).outcome()]
        }
        let sorted = outcomes.sorted { $0.id.rawValue % 2 > $1.id.rawValue % 2 }
        #expect(sorted.map(\.kind) == [.completed, .failed] && sorted.map(\.attempts) == [3, 3])
        #expect(journal.count("step") == 1)
    }

    @Test("A submission that is refused, or not passed on, is told with its reason, and nothing is submitted")
    func refused() async throws {
        struct Full: Error {}
        for isThrown in [true, false] {
            let scheduler = try await idleScheduler {
                $0.use {
                    Acting(onSubmit: {
                        if isThrown { throw Full() }
                        return false
                    })
                }
                $0.register(StepHandler())
            }
            do {
                _ = try await scheduler.submit(Step(number: 1))
                Issue.record("it is refused")
            } catch {
                #expect(error.code == .refused && error.message.contains("Full") == isThrown)
            }
            #expect(scheduler.core.store.totals.live == 0)
            try await scheduler.close()
        }
    }

    /// Calls what is inside as often as the test says, and lets no error pass.
    private struct Repeating: TaskMiddleware {
        var count: Int

        func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
            for _ in 0..<count { try? await next(submission) }
        }

        func execute(
            _ task: some DurableTask, in context: TaskContext, next: () async throws -> Void
        ) async throws {
            for _ in 0..<count { try? await next() }
        }
    }

    @Test("A handler is called once, and a task submitted once, whatever a middleware does (T6)")
    func twice() async throws {
        let journal = Journal()
        let memo = try await withScheduler {
            $0.use { Repeating(count: 2) }
            $0.register(StepHandler.noting(in: journal))
            $0.register(PlanHandler())
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 3)).memo()
            #expect(scheduler.core.store.totals.endedRoots == 1)
            return memo
        }
        #expect(memo.completed == 3 && journal.count("step") == 3)
    }

    @Test("An error that a middleware does not let pass is the task's all the same, with its retries (T15)")
    func swallowed() async throws {
        try await withScheduler {
            $0.use { Repeating(count: 1) }
            $0.register(
                StepHandler { _, context in
                    if context.attempt < 3 { throw Trouble("not yet") }
                    throw Trouble("never")
                }, retry: .constant(.zero, attempts: 3))
        } _: { scheduler in
            let outcome = try await scheduler.submit(Step(number: 1)).outcome()
            #expect(outcome.kind == .deadLettered && outcome.attempts == 3)
            guard case .failure(.ended(_, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
            #expect(failure.detail == "never")
            await #expect {
                try await scheduler.submit(Step(number: 1), options: TaskOptions(group: ""))
            } throws: {
                ($0 as? SchedulerError)?.code == .invalidOptions
            }
        }
    }

    @Test("A scheduler without middleware calls its handlers directly")
    func none() async throws {
        let scheduler = try await idleScheduler {
            $0.use {}
            $0.register(StepHandler())
            $0.register(PlanHandler())
        }
        let runners = scheduler.core.types.runners.compactMap { $0 }
        #expect(
            runners.contains { $0 is LeafRunner<StepHandler> }
                && runners.contains { $0 is OrchestratorRunner<PlanHandler> })
        try await scheduler.close()
    }
}
