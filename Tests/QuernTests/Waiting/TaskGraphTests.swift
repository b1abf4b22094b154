// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("TaskGraph: tasks that wait for each other, submitted at once (T6, T16)", .timeLimit(.minutes(15)))
struct TaskGraphTests {
    private let order = Order()

    private func register(_ registry: inout Registry) {
        registry.register(StepHandler.noting(in: order))
        registry.register(PlanHandler())
    }

    @Test("Any graph runs each task behind all that it names, also across a crash", arguments: 1...12)
    func random(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let count = 2 + random.below(40)
        var graph = TaskGraph()
        var edges: [(Int, Int)] = []
        for number in (0..<count).shuffled(using: &random) {
            let wanted = number == 0 ? [] : (0..<random.below(4)).map { _ in random.below(number) }
            edges += wanted.map { ($0, number) }
            let options = TaskOptions(priority: UInt8(random.below(255)))
            graph.add("\(number)", Step(number: number), after: wanted.map { "\($0)" }, options: options)
        }
        let first = try await TestScheduler { register(&$0) }
        try await first.scheduler.pause(.everything)
        // Ids do not begin where a graph's places do.
        _ = try await first.scheduler.submit(contentsOf: (0..<random.below(100)).map { Step(number: 500 + $0) })
        let tasks = try await first.scheduler.submit(graph)
        #expect(tasks.id("no") == nil && Set((0..<count).map { tasks.id("\($0)") }).count == count)
        await first.runUntilIdle()
        let files = first.files.crash(keeping: .dropAll)
        let second = try await TestScheduler(files: files, now: first.clock.now) { register(&$0) }
        try await second.scheduler.resume(.everything)
        await second.runUntilIdle()
        let own = order.numbers.filter { $0 < 500 }
        let places = Dictionary(own.enumerated().map { ($1, $0) }) { _, _ in -1 }
        #expect(places.count == count, "seed \(seed)")
        for (earlier, later) in edges {
            #expect(places[earlier, default: 0] < places[later, default: 0], "seed \(seed)")
        }
        try await second.stop()
        try await first.stop()
    }

    @Test("Handles of several types wait for the tasks of a graph, and a failure reaches those that wait")
    func handles() async throws {
        let test = try await TestScheduler { register(&$0) }
        var graph = TaskGraph()
        graph.add("end", Plan(children: 3), after: ["good", "bad"])
        graph.add("anyway", Step(number: 5), after: ["bad"], options: TaskOptions(onDependencyFailure: .ignore))
        graph.add("bad", Step(number: 1001))
        graph.add("good", Step(number: 1))
        let tasks = try await test.scheduler.submit(graph)
        #expect(try await tasks.handle("good", of: Step.self)?.memo().value == 1)
        #expect(try await tasks.handle("anyway", of: Step.self)?.memo().value == 5)
        #expect(try await tasks.handle("end", of: Plan.self)?.outcome().kind == .dependencyFailed)
        #expect(tasks.handle("other", of: Step.self) == nil)
        #expect(try await test.scheduler.submit(TaskGraph()).id("x") == nil)
        try await test.stop()
    }

    @Test("A cycle is named, and so is what is missing or there twice; nothing is submitted")
    func invalid() async throws {
        let test = try await TestScheduler { register(&$0) }
        func failure(_ edges: [(String, [String])], _ options: TaskOptions = TaskOptions()) async -> SchedulerError? {
            var graph = TaskGraph()
            for (name, after) in edges { graph.add(name, Step(number: 1), after: after, options: options) }
            do throws(SchedulerError) {
                _ = try await test.scheduler.submit(graph)
                return nil
            } catch { return error }
        }
        let cycle = await failure([("a", ["b"]), ("b", ["c"]), ("c", ["d", "b"]), ("d", [])])
        #expect(cycle?.code == .invalidGraph)
        #expect(cycle?.message == #"the tasks wait for each other: "b" waits for "c" waits for "b""#)
        #expect(await failure([("a", ["a"])])?.code == .invalidGraph)
        #expect(await failure([("a", ["b"])])?.message == #""a" waits for "b", which is not there"#)
        #expect(await failure([("a", []), ("a", [])])?.message == #"two tasks are named "a""#)
        #expect(await failure([("a", [])], TaskOptions(key: "k"))?.code == .invalidOptions)
        #expect(test.scheduler.core.store.totals.live == 0 && test.scheduler.core.store.lastTask == .none)
        try await test.stop()
    }

    @Test("Middleware sees each task of a graph, may change its options, and may refuse them all")
    func middleware() async throws {
        struct Guard: TaskMiddleware {
            func submit(
                _ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void
            ) async throws {
                var submission = submission
                submission.options.tags.append("seen")
                try await next(submission)
            }

            func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws {
                if let step = task as? Step, step.number == 13 { throw Trouble("unlucky") }
            }
        }
        let test = try await TestScheduler {
            $0.use { Guard() }
            register(&$0)
        }
        try await test.scheduler.pause(.everything)
        var graph = TaskGraph()
        graph.add("one", Step(number: 1))
        graph.add("two", Step(number: 2), after: ["one"])
        let tasks = try await test.scheduler.submit(graph)
        for name in ["one", "two"] {
            let run = try #require(tasks.id(name).flatMap { test.scheduler.core.store.run(of: $0) })
            #expect(try TaskAttributes(decoding: test.scheduler.core.store.attributes(of: run)).tags == ["seen"])
        }
        graph.add("three", Step(number: 13), after: ["two"])
        await #expect(throws: SchedulerError.self) { try await test.scheduler.submit(graph) }
        #expect(test.scheduler.core.store.totals.live == 2)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        #expect(order.numbers == [1, 2])
        try await test.stop()
    }
}
