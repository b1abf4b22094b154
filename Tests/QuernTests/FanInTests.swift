// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// Order matters in it: a child that is missing, doubled or out of place shows.
struct Digest: Codable, Sendable, Equatable {
    var count: UInt64 = 0
    var sum: Int64 = 0
    var chain: UInt64 = 0

    mutating func add(_ memo: Step.Memo) {
        count += 1
        sum += memo.value
        chain = chain &* 6_364_136_223_846_793_005 &+ UInt64(bitPattern: memo.value) &+ 1
    }
}

/// What an aggregate loses when it is combined in parts: only what commutes.
struct Total: Codable, Sendable, Equatable {
    var count: UInt64 = 0
    var sum: Int64 = 0
}

/// A plan whose finalize leaves a digest of its children's memos.
private struct DigestHandler: OrchestratorHandler {
    var aggregate: @Sendable (FinalizeContext) async throws -> Digest

    func execute(_ plan: Plan, in context: TaskContext) async throws -> NoHandover {
        try context.spawnChildren((0..<plan.children).lazy.map { Step(number: $0) })
        return NoHandover()
    }

    func finalize(_ plan: Plan, handover: NoHandover, in context: FinalizeContext) async throws -> Plan.Memo {
        var expected = Digest()
        for try await memo in context.childMemos(of: Step.self) { expected.add(memo) }
        let digest = try await aggregate(context)
        #expect(digest == expected)
        return Plan.Memo(sum: digest.sum, completed: digest.count)
    }
}

extension TaskScheduler.Configuration {
    /// Blocks of a few children, so that there are many.
    fileprivate static func smallBlocks(_ files: SimulatedFileSystem, clock: (any WallClock)? = nil) -> Self {
        var configuration = simulated(files, clock: clock)
        configuration.store.blockSizes = BlockSizes(full: 256, rows: 7, small: 64, sharedFrame: 512)
        configuration.store.checkpointBytes = 4 << 10
        return configuration
    }
}

/// A plan whose finalize saves on a disk that is full at first.
private struct SavingHandler: OrchestratorHandler {
    let files: SimulatedFileSystem

    func execute(_ plan: Plan, in context: TaskContext) async throws -> NoHandover { NoHandover() }

    func finalize(_ plan: Plan, handover: NoHandover, in context: FinalizeContext) async throws -> Plan.Memo {
        if files.faults.capacity == nil { files.faults.capacity = files.usedBytes }
        try await context.saveState([UInt8](repeating: 1, count: 10_000), after: 0)
        return Plan.Memo(sum: 0, completed: UInt64(context.attempt))
    }
}

@Suite("Fan-in: on a full disk")
struct FullDiskFanInTests {
    @Test("T4, S4: a state that finds no space costs finalize no attempt, and is saved when there is space")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        let test = try await TestScheduler(files: files) {
            $0.register(SavingHandler(files: files), retry: RetryPolicy.none)
        }
        let handle = try await test.scheduler.submit(Plan(children: 0))
        await test.runUntilIdle()
        files.faults.capacity = .max
        await test.advance(by: .seconds(1))
        #expect(try await handle.memo().completed == 1)
        try await test.stop()
    }
}

@Suite("Fan-in: aggregates that go on after a crash (T3, T4)", .timeLimit(.minutes(20)))
struct AggregateTests {
    private func run<Result>(
        _ files: SimulatedFileSystem, clock: (any WallClock)? = nil, _ register: (inout Registry) throws -> Void,
        _ body: (TaskScheduler) async throws -> Result
    ) async throws -> Result {
        try await withScheduler(.smallBlocks(files, clock: clock), register, body)
    }

    private func register(
        _ registry: inout Registry, _ aggregate: @escaping @Sendable (FinalizeContext) async throws -> Digest
    ) {
        registry.register(StepHandler { step, _ in Int64(step.number) })
        registry.register(
            DigestHandler(aggregate: aggregate), retry: .constant(.milliseconds(1), attempts: 100),
            onChildFailure: .tolerate)
    }

    @Test(
        "A finalize that fails again and again folds each memo once, and goes on behind its last save",
        arguments: 1...10)
    func failedAttempts(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let interval = Int.random(in: 5...60, using: &generator)
        let random = Mutex(generator)
        let folded = Mutex(0)
        let memo = try await run(SimulatedFileSystem()) { registry in
            register(&registry) { context in
                // Each attempt folds more than an interval, so that it gets on.
                var rest = random.withLock { Int.random(in: interval + 8...interval + 80, using: &$0) }
                return try await context.aggregate(of: Step.self, into: Digest(), every: interval) { digest, memo in
                    folded.withLock { $0 += 1 }
                    rest -= 1
                    if rest == 0 { throw Trouble("enough") }
                    digest.add(memo)
                }
            }
        } _: {
            try await $0.submit(Plan(children: 500)).memo()
        }
        #expect(memo == Plan.Memo(sum: 500 * 499 / 2, completed: 500))
        // From the beginning each time it would be many thousands.
        #expect(folded.withLock { $0 } < 4_000)
    }

    @Test("An aggregate on no thread at all is made on one")
    func noThreads() async throws {
        let memo = try await run(SimulatedFileSystem()) { registry in
            register(&registry) { context in
                let count = try await context.aggregate(
                    of: Step.self, into: 0, named: "count", threads: 0, { count, _ in count += 1 },
                    combine: { $0 += $1 })
                #expect(count == 20)
                return try await context.aggregate(of: Step.self, into: Digest()) { $0.add($1) }
            }
        } _: {
            try await $0.submit(Plan(children: 20)).memo()
        }
        #expect(memo.completed == 20)
    }

    @Test(
        "After a power loss at any moment the aggregate has each memo once (T4)", arguments: 1...40)
    func powerLoss(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let files = SimulatedFileSystem()
        // Half of them while the children run, half while they are folded.
        let crashAt = Int.random(in: 20...120, using: &generator)
        let inFinalize = Mutex(seed % 2 == 0)
        let inParallel = seed % 3 == 0
        let aggregate: @Sendable (FinalizeContext) async throws -> Digest = { context in
            let isDue = inFinalize.withLock { isDue in
                defer { isDue = false }
                return isDue
            }
            if isDue { files.faults = .crashing(afterCall: crashAt / 2) }
            if inParallel {
                let total = try await context.aggregate(
                    of: Step.self, into: Total(), every: 20, named: "parallel",
                    { (total, memo) in
                        total.count += 1
                        total.sum += memo.value
                    },
                    combine: { total, part in
                        total.count += part.count
                        total.sum += part.sum
                    })
                #expect(total == Total(count: 300, sum: 300 * 299 / 2))
            }
            return try await context.aggregate(of: Step.self, into: Digest(), every: 10) { $0.add($1) }
        }
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .smallBlocks(files)) {
            register(&$0, aggregate)
        }
        if !inFinalize.withLock({ $0 }) { files.faults = .crashing(afterCall: crashAt) }
        let service = Task { try await scheduler.run() }
        let handle = try? await scheduler.submit(Plan(children: 300))
        _ = try? await handle?.memo()
        service.cancel()
        _ = await service.result

        let left = files.crash(keeping: .random(seed: seed))
        try await run(left) {
            register(&$0, aggregate)
        } _: { scheduler in
            guard let id = handle?.id else { return }
            let memo = try await scheduler.handle(for: id, of: Plan.self).memo()
            #expect(memo == Plan.Memo(sum: 300 * 299 / 2, completed: 300))
        }
    }

    @Test("Saved states and positions make a loop that goes on where the last attempt was")
    func parts() async throws {
        let seen = Mutex<[Int64]>([])
        let memo = try await run(SimulatedFileSystem()) { registry in
            register(&registry) { context in
                let saved = try context.savedState(as: Digest.self)
                var digest = saved?.value ?? Digest()
                var outcomes = try context.children(of: Step.self, after: saved?.position ?? 0).makeAsyncIterator()
                #expect(outcomes.position == saved?.position ?? 0)
                while let outcome = try await outcomes.next() {
                    let memo = try outcome.result.get()
                    seen.withLock { $0.append(memo.value) }
                    digest.add(memo)
                    if digest.count == 33 || digest.count == 78 {
                        try await context.saveState(digest, after: outcomes.position)
                        throw Trouble("after \(digest.count)")
                    }
                }
                return digest
            }
        } _: {
            try await $0.submit(Plan(children: 100)).memo()
        }
        #expect(memo.completed == 100)
        #expect(seen.withLock { $0.sorted() } == (0..<100).map(Int64.init))
    }

    @Test("A small fan-out saves nothing, and a state that cannot be stored is a typed error")
    func smallAndLarge() async throws {
        struct Odd: Codable {
            func encode(to encoder: any Encoder) throws { throw Trouble("odd") }
        }
        _ = try await run(SimulatedFileSystem()) { registry in
            register(&registry) { context in
                let digest = try await context.aggregate(of: Step.self, into: Digest()) { $0.add($1) }
                let error = await #expect(throws: SchedulerError.self) { try await context.saveState(Odd(), after: 0) }
                #expect(error?.code == .stateNotStorable)
                let large = [UInt8](repeating: 0, count: Limits.valueBytes)
                let tooLarge = await #expect(throws: SchedulerError.self) {
                    try await context.saveState(large, after: 0, named: "large")
                }
                #expect(tooLarge?.code == .stateNotStorable)
                #expect(try context.core.store.kept(context.id, slot: 1) == nil)
                return digest
            }
        } _: {
            try await $0.submit(Plan(children: 50)).memo()
        }
    }

    // MARK: Live aggregates

    static let digest = Aggregate(of: Step.self, into: Digest(), every: 20) { $0.add($1) }

    @Test("A live aggregate shows, whenever it is read, each completed child once, also after restarts")
    func live() async throws {
        var files = SimulatedFileSystem()
        var id = TaskID.none
        for round in 1...4 {
            // Each process lets a quarter of the children through.
            let (journal, gate) = (Journal(), Gate())
            if round == 4 { gate.open() }
            let register: (inout Registry) throws -> Void = { registry in
                registry.register(
                    StepHandler { step, _ in
                        if step.number >= round * 50 { await gate.pass() }
                        journal.note("done")
                        return Int64(step.number)
                    }, concurrency: 1)
                registry.register(
                    DigestHandler { try await $0.value(of: Self.digest) }, onChildFailure: .tolerate)
                registry.maintain(Self.digest, under: Plan.self)
            }
            let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .smallBlocks(files), register)
            let service = Task { try await scheduler.run() }
            if round == 1 { id = try await scheduler.submit(Plan(children: 200)).id }
            if round == 4 {
                let handle = scheduler.handle(for: id, of: Plan.self)
                let memo = try await handle.memo()
                #expect(memo == Plan.Memo(sum: 200 * 199 / 2, completed: 200))
                #expect(try await handle.value(of: Self.digest).count == 200)
                scheduler.core.stop(immediately: false)
                try await service.value
                return
            }
            try await eventually {
                let seen = try await scheduler.value(of: Self.digest, under: id)
                let children = try scheduler.core.store.children(of: id).counts.completed
                #expect(seen.count <= children)
                return seen.count == round * 50
            }
            let seen = try await scheduler.value(of: Self.digest, under: id)
            #expect(seen.sum == Int64(round * 50 * (round * 50 - 1) / 2))
            // The background has saved it.
            try await eventually { try scheduler.core.store.kept(id, slot: StateKeeper.Slot.aggregates) != nil }
            files = files.crash(keeping: .keepAll)
            scheduler.core.stop(immediately: true)
            gate.open()
            _ = await service.result
        }
    }

    @Test("An aggregate that nobody maintains can be read, and one that is declared twice is refused")
    func declared() async throws {
        let error = await #expect(throws: SchedulerError.self) {
            try await TaskScheduler(
                storeAt: "/store", configuration: .smallBlocks(SimulatedFileSystem())
            ) { registry in
                register(&registry) { try await $0.value(of: Self.digest) }
                registry.maintain(Self.digest, under: Plan.self)
                registry.maintain(Self.digest, under: Plan.self)
            }
        }
        #expect(error?.code == .alreadyRegistered)
        try await run(SimulatedFileSystem()) { registry in
            register(&registry) { try await $0.value(of: Self.digest) }
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 30))
            _ = try await handle.memo()
            #expect(try await handle.value(of: Self.digest).count == 30)
            #expect(try await scheduler.value(of: Self.digest, under: TaskID(999)) == Digest())
        }
    }

    @Test("The grandparent streams what the parents' finalize left (T5)")
    func grandparent() async throws {
        try await run(SimulatedFileSystem()) { registry in
            register(&registry) { try await $0.aggregate(of: Step.self, into: Digest(), every: 8) { $0.add($1) } }
            registry.register(Grandparent())
        } _: { scheduler in
            let memo = try await scheduler.submit(Forest(trees: 20)).memo()
            #expect(memo == Plan.Memo(sum: (1...20).reduce(0) { $0 + $1 * ($1 - 1) / 2 }, completed: 210))
        }
    }

    private struct Forest: DurableTask {
        static let type: TaskType = "test.forest"
        var trees: Int
        typealias Memo = Plan.Memo
    }

    private struct Grandparent: OrchestratorHandler {
        func execute(_ forest: Forest, in context: TaskContext) async throws -> NoHandover {
            for tree in 1...forest.trees { try context.spawnChild(Plan(children: tree)) }
            return NoHandover()
        }

        func finalize(_ forest: Forest, handover: NoHandover, in context: FinalizeContext) async throws -> Plan.Memo {
            try await context.aggregate(of: Plan.self, into: Plan.Memo()) { total, memo in
                total.sum += memo.sum
                total.completed += memo.completed
            }
        }
    }

    @Test("Failures are grouped in bounded memory, however many reasons there are")
    func reasons() {
        var summary = FailureSummary.Builder(classes: 3, samplesPerClass: 2)
        for number in 0..<10_000 {
            summary.add(FailureInfo(reason: number % 2 == 0 ? "usual" : "reason \(number)", detail: "\(number)"))
        }
        let found = summary.finish(children: 20_000)
        #expect(found.total == 10_000 && found.classes.count == 3)
        #expect(found.classes[0] == .init(reason: "usual", count: 5_000, samples: ["0", "2"]))
        #expect(found.others == 10_000 - found.classes.reduce(0) { $0 + $1.count })
    }
}
