// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// Numbers from one up to another, one at a time, as a source that is read on demand gives them.
private struct Numbers: AsyncSequence, Sendable {
    typealias Element = Int
    typealias Failure = any Error
    var numbers: Range<Int>
    var onNext: @Sendable (Int) async throws -> Void = { _ in }

    func makeAsyncIterator() -> Iterator { Iterator(next: numbers.lowerBound, source: self) }

    struct Iterator: AsyncIteratorProtocol {
        var next: Int
        let source: Numbers

        mutating func next(isolation actor: isolated (any Actor)?) async throws -> Int? {
            guard next < source.numbers.upperBound else { return nil }
            try await source.onNext(next)
            defer { next += 1 }
            return next
        }
    }
}

@Suite("Children that are spawned ahead of their parent's commit (T3, T6)", .timeLimit(.minutes(20)))
struct EarlySpawnTests {
    private let journal = Journal()

    private func register(
        _ registry: inout Registry, retry: RetryPolicy? = nil, policy: ChildFailurePolicy = .tolerate,
        step: @escaping @Sendable (Step, TaskContext) async throws -> Int64 = { step, _ in Int64(step.number) },
        _ execute: @escaping @Sendable (Plan, TaskContext) async throws -> Void
    ) {
        registry.register(
            StepHandler { [journal] task, context in
                journal.note("step \(task.number)")
                return try await step(task, context)
            })
        registry.register(
            PlanHandler(
                onExecute: { [journal] plan, context in
                    journal.note("execute")
                    try await execute(plan, context)
                }, onFinalize: { [journal] _ in journal.note("finalize") }), retry: retry, onChildFailure: policy)
    }

    private static func stream(
        _ plan: Plan, _ context: TaskContext, chunk: Int = 7,
        onNext: @escaping @Sendable (Int) async throws -> Void = { _ in }
    ) async throws -> UInt64 {
        try await context.spawnChildren(
            from: { (last: Int?) in Numbers(numbers: (last.map { $0 + 1 } ?? 0)..<plan.children, onNext: onNext) },
            cursor: { $0 }, chunk: chunk, task: { Step(number: $0) })
    }

    private func ranOnce(_ count: Int) -> Bool { (0..<count).allSatisfy { journal.count("step \($0)") == 1 } }

    // MARK: spawnNow

    @Test("A child of spawnNow runs while execute goes on, and finalize waits for execute all the same (T3)")
    func runsAtOnce() async throws {
        let memo = try await withScheduler { registry in
            register(&registry) { [journal] _, context in
                let spawned = try await context.spawnNow(contentsOf: (0..<3).map { Step(number: $0) })
                #expect(spawned.map(\.submission) == [.inserted, .inserted, .inserted])
                for number in 0..<3 { try await journal.wait(for: "step \(number)") }
                try await eventually { context.core.store.status(of: context.id)?.liveChildren == 0 }
                #expect(journal.count("finalize") == 0)
                try context.spawnChild(Step(number: 3))
            }
        } _: {
            try await $0.submit(Plan(children: 0)).memo()
        }
        #expect(memo.sum == 6 && memo.completed == 4)
        #expect(ranOnce(4) && journal.count("finalize") == 1)
    }

    @Test("A failed attempt leaves what it spawned now; keys of live children keep the next from doubling them")
    func repeated() async throws {
        let gate = Gate()
        let memo = try await withScheduler { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 3)) { task, _ in
                await gate.pass()
                return Int64(task.number)
            } _: { _, context in
                let spawned = try await context.spawnNow(Step(number: 5), options: TaskOptions(key: "five"))
                if context.attempt < 3 { throw Trouble("attempt \(context.attempt)") }
                #expect(spawned.submission == .duplicate)
                gate.open()
            }
        } _: {
            try await $0.submit(Plan(children: 0)).memo()
        }
        #expect(memo.sum == 5 && memo.completed == 1)
        #expect(journal.count("execute") == 3 && journal.count("step 5") == 1)
    }

    @Test("When execute fails for good its early children are cancelled, and the task ends after them with the error")
    func failsForGood() async throws {
        // A place for each that waits, and for their parent.
        let outcome = try await withScheduler(concurrency: 20) { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 2)) { _, _ in
                try await Task.sleep(for: .seconds(1000))
                return 0
            } _: { _, context in
                try await context.spawnNow(contentsOf: (0..<8).map { Step(number: $0) })
                throw Trouble("attempt \(context.attempt)")
            }
        } _: { scheduler in
            let outcome = try await scheduler.submit(Plan(children: 0)).outcome()
            #expect(scheduler.core.store.totals.live == 0)
            #expect(scheduler.core.read { $0.dispatcher.early.isEmpty && $0.dispatcher.failing.isEmpty })
            let counts = try scheduler.core.store.children(of: outcome.id).counts
            #expect(counts.cancelled == 16 && counts.total == 16)
            return outcome
        }
        #expect(outcome.kind == .deadLettered && outcome.attempts == 2)
        guard case .failure(.ended(_, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
        #expect(failure.reason == "Trouble" && failure.detail == "attempt 2")
        #expect(journal.count("finalize") == 0)
    }

    @Test("Cancel reaches early children of a task that runs, and of one that waits for its next attempt (T10)")
    func cancelled() async throws {
        for waits in [false, true] {
            try await withScheduler { registry in
                register(&registry, retry: .constant(.seconds(1000), attempts: 2)) { _, _ in
                    try await Task.sleep(for: .seconds(1000))
                    return 0
                } _: { [journal] _, context in
                    try await context.spawnNow(contentsOf: (0..<10).map { Step(number: $0) })
                    journal.note("spawned")
                    if waits { throw Trouble("once") }
                    try await Task.sleep(for: .seconds(1000))
                }
            } _: { scheduler in
                let handle = try await scheduler.submit(Plan(children: 0))
                try await journal.wait(for: "spawned", count: waits ? 2 : 1)
                if waits { try await eventually { scheduler.statistics.delayed == 1 } }
                #expect(try await scheduler.cancel(handle.id))
                #expect(try await handle.outcome().kind == .cancelled)
                #expect(try scheduler.core.store.children(of: handle.id).counts.cancelled == 10)
                #expect(scheduler.core.read { $0.dispatcher.early.isEmpty && $0.dispatcher.doomed.isEmpty })
            }
        }
    }

    @Test("With failFast a failed early child cancels the others while execute runs, and ends a stream (T8)")
    func failFast() async throws {
        let outcome = try await withScheduler { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 9), policy: .failFast) { task, _ in
                if task.number == 3 { throw PermanentError(reason: "broken", detail: "three") }
                return 1
            } _: { plan, context in
                _ = try await Self.stream(plan, context) { number in
                    // So that the stream outlives the failure.
                    guard number == 50 else { return }
                    try await eventually { context.core.store.status(of: context.id)?.counts.failures == 1 }
                }
            }
        } _: {
            try await $0.submit(Plan(children: 1_000_000)).outcome()
        }
        guard case .failure(.ended(.failed, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
        #expect(failure.reason == "child failed" && failure.detail.contains("broken: three"))
        #expect(journal.count("execute") == 1 && journal.count("finalize") == 0)
    }

    @Test("A context that is used behind its handler's return spawns nothing (T7)")
    func expired() async throws {
        let kept = Mutex<TaskContext?>(nil)
        try await withScheduler { registry in
            register(&registry) { _, context in kept.withLock { $0 = context } }
        } _: { scheduler in
            #expect(try await scheduler.submit(Plan(children: 0)).memo().completed == 0)
            let context = try #require(kept.withLock { $0 })
            let error = await #expect(throws: SchedulerError.self) { try await context.spawnNow(Step(number: 1)) }
            #expect(error?.code == .contextExpired)
            #expect(scheduler.core.store.totals.live == 0)
        }
    }

    @Test("What is saved with children is exactly as far as they are, however often execute is repeated")
    func saving() async throws {
        let memo = try await withScheduler { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 50)) { _, context in
                var page = try context.savedState(as: Int.self) ?? 0
                while page < 10 {
                    let steps = (page * 3..<page * 3 + 3).map { Step(number: $0) }
                    page += 1
                    let spawned = try await context.spawnNow(contentsOf: steps, saving: page)
                    #expect(spawned.count == 3)
                    if page % 4 == 0 { throw Trouble("page \(page)") }
                }
            }
        } _: {
            try await $0.submit(Plan(children: 0)).memo()
        }
        #expect(memo.sum == 30 * 29 / 2 && memo.completed == 30)
        #expect(ranOnce(30) && journal.count("execute") == 3)
    }

    // MARK: Streams

    @Test("A stream spawns each element once, and children of its first chunks run before it ends")
    func streamed() async throws {
        let memo = try await withScheduler { registry in
            register(&registry) { [journal] plan, context in
                let count = try await Self.stream(plan, context) { number in
                    // The first chunk is done before the last element comes.
                    if number == 99 { for first in 0..<7 { try await journal.wait(for: "step \(first)") } }
                }
                #expect(count == 100)
            }
        } _: {
            try await $0.submit(Plan(children: 100)).memo()
        }
        #expect(memo.sum == 100 * 99 / 2 && memo.completed == 100)
        #expect(ranOnce(100) && journal.count("finalize") == 1)
    }

    @Test("A retry goes on behind the last chunk, and a stream that has ended is not opened again")
    func retried() async throws {
        let opened = Mutex<[Int]>([])
        let memo = try await withScheduler { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 9)) { plan, context in
                let count = try await context.spawnChildren(
                    from: { (last: Int?) in
                        let first = last.map { $0 + 1 } ?? 0
                        opened.withLock { $0.append(first) }
                        return Numbers(numbers: first..<plan.children) {
                            if $0 == 10 || $0 == 25, first < $0 - 5 { throw Trouble("at \($0)") }
                        }
                    }, cursor: { $0 }, chunk: 4, task: { $0 % 2 == 0 ? Step(number: $0) : nil })
                #expect(count == 15)
                let others = try await context.spawnChildren(
                    from: Numbers(numbers: 0..<10).map { Step(number: 100 + $0) }, named: "others", chunk: 3)
                #expect(others == 10)
                if opened.withLock({ $0.count }) < 4 {
                    opened.withLock { $0.append(-1) }
                    throw Trouble("behind both streams")
                }
            }
        } _: {
            try await $0.submit(Plan(children: 30)).memo()
        }
        #expect(memo.completed == 25)
        #expect(memo.sum == 2 * 15 * 14 / 2 + 1000 + 45)
        #expect(opened.withLock { $0 } == [0, 8, 24, -1])
    }

    @Test("After a power loss at any moment the stream goes on: no child twice, none left out (T6)", arguments: 1...40)
    func powerLoss(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let crashAt = Int.random(in: 4...80, using: &generator)
        let registerAll: @Sendable (inout Registry) -> Void = { registry in
            register(&registry, retry: .constant(.milliseconds(1), attempts: 3)) { plan, context in
                if seed % 2 == 0 {
                    _ = try await Self.stream(plan, context)
                } else {
                    let steps = Numbers(numbers: 0..<plan.children).map { Step(number: $0) }
                    try await context.spawnChildren(from: steps, chunk: 9)
                }
                if seed % 3 == 0, context.attempt == 1 { throw Trouble("once") }
            }
        }
        let files = SimulatedFileSystem()
        let scheduler = try await TaskScheduler(
            storeAt: "/store", configuration: .simulated(files, concurrency: 3), registerAll)
        files.faults = .crashing(afterCall: crashAt)
        let service = Task { try await scheduler.run() }
        let handle = try? await scheduler.submit(Plan(children: 200))
        _ = try? await handle?.memo()
        service.cancel()
        _ = await service.result

        let left = files.crash(keeping: .random(seed: seed))
        try await withScheduler(left, registerAll) { scheduler in
            guard let id = handle?.id else { return }
            let memo = try await scheduler.handle(for: id, of: Plan.self).memo()
            #expect(memo.sum == 200 * 199 / 2 && memo.completed == 200)
            #expect(scheduler.core.read { $0.dispatcher.early.isEmpty })
        }
    }

    @Test("A stream waits while many children are pending, and leaves its place to them", arguments: [1, 3])
    func pendingLimit(concurrency: Int) async throws {
        let most = Mutex<UInt64>(0)
        let memo = try await withScheduler(concurrency: concurrency) { registry in
            register(&registry) { plan, context in
                let numbers = Numbers(numbers: 0..<plan.children) { _ in
                    let live = context.core.store.status(of: context.id)?.liveChildren ?? 0
                    most.withLock { $0 = max($0, live) }
                }
                try await context.spawnChildren(
                    from: numbers.map { Step(number: $0) }, chunk: 10, pendingLimit: 40)
            }
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 1000)).memo()
            #expect(scheduler.core.read { $0.dispatcher.parked == 0 && $0.roomWaiters.isEmpty })
            return memo
        }
        #expect(memo.completed == 1000 && memo.sum == 1000 * 999 / 2)
        #expect(most.withLock { $0 } <= 40)
    }

    @Test("A stream that waits for its children ends with a cancel, with a stop, and with a failed child")
    func pendingEnds() async throws {
        for policy in [ChildFailurePolicy.tolerate, .failFast] {
            let gate = Gate()
            let files = SimulatedFileSystem()
            let scheduler = try await TaskScheduler(
                storeAt: "/store", configuration: .simulated(files, concurrency: 2)
            ) { registry in
                register(&registry, policy: policy) { task, _ in
                    try await gate.passOrThrow()
                    throw Trouble("child")
                } _: { plan, context in
                    let steps = Numbers(numbers: 0..<plan.children).map { Step(number: $0) }
                    try await context.spawnChildren(from: steps, chunk: 10, pendingLimit: 10)
                }
            }
            let service = Task { try await scheduler.run() }
            let handle = try await scheduler.submit(Plan(children: 1000))
            try await eventually { scheduler.core.read { $0.dispatcher.parked == 1 } }
            if policy == .failFast {
                gate.open()
                #expect(try await handle.outcome().kind == .failed)
            } else {
                #expect(try await scheduler.cancel(handle.id))
                #expect(try await handle.outcome().kind == .cancelled)
            }
            let last = try await scheduler.submit(Plan(children: 100))
            if policy == .tolerate { try await eventually { scheduler.core.read { $0.dispatcher.parked == 1 } } }
            scheduler.core.stop(immediately: policy == .tolerate)
            gate.open()
            _ = await service.result
            #expect(scheduler.core.read { $0.roomWaiters.isEmpty })
            _ = last
        }
    }

    @Test("A graceful stop ends a stream behind a chunk; the next process goes on, the attempt not counted (T14)")
    func gracefulStop() async throws {
        let files = SimulatedFileSystem()
        let attempts = Mutex<[UInt32]>([])
        func make(stopsAt limit: Int?) async throws -> (TaskScheduler, Task<Void, any Error>) {
            let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) { registry in
                register(&registry) { plan, context in
                    attempts.withLock { $0.append(context.attempt) }
                    _ = try await Self.stream(plan, context) { number in
                        if number == limit { context.core.stop(immediately: false) }
                    }
                }
            }
            return (scheduler, Task { try await scheduler.run() })
        }
        let (first, service) = try await make(stopsAt: 30)
        let id = try await first.submit(Plan(children: 100)).id
        try await service.value
        let (second, again) = try await make(stopsAt: nil)
        let memo = try await second.handle(for: id, of: Plan.self).memo()
        #expect(memo.completed == 100 && memo.sum == 100 * 99 / 2)
        #expect(attempts.withLock { $0 } == [1, 1] && ranOnce(100))
        second.core.stop(immediately: false)
        try await again.value
    }

    @Test("Without space for a chunk the task waits, and goes on behind the last one that was written")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        let isFull = Mutex(false)
        let memo = try await withScheduler(files) { registry in
            register(&registry) { plan, context in
                _ = try await Self.stream(plan, context) { number in
                    let isFirst = isFull.withLock { wasFull in
                        defer { wasFull = wasFull || number == 20 }
                        return number == 20 && !wasFull
                    }
                    guard isFirst else { return }
                    var faults = FaultPlan()
                    faults.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "log-")
                    files.faults = faults
                }
            }
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 40))
            try await eventually { scheduler.core.read { $0.dispatcher.isStalled } }
            files.faults = FaultPlan()
            return try await handle.memo()
        }
        #expect(memo.completed == 40 && memo.sum == 40 * 39 / 2)
    }

    @Test("A task whose handler has no finalize any more is held while it has early children")
    func changedHandler() async throws {
        struct Leaf: TaskHandler {
            func execute(_ plan: Plan, in context: TaskContext) async throws -> Plan.Memo { Plan.Memo() }
        }
        let files = SimulatedFileSystem()
        let image = Mutex<SimulatedFileSystem?>(nil)
        try await withScheduler(files) { registry in
            register(&registry) { _, context in
                try await context.spawnNow(Step(number: 1))
                image.withLock { $0 = $0 ?? files.crash(keeping: .keepAll) }
            }
        } _: {
            _ = try await $0.submit(Plan(children: 0)).memo()
        }
        let left = try #require(image.withLock { $0 })
        try await withScheduler(left) {
            $0.register(StepHandler())
            $0.register(Leaf())
        } _: { scheduler in
            try await eventually { scheduler.core.store.totals.live == 1 }
            #expect(scheduler.statistics.held == 1)
        }
    }
}
