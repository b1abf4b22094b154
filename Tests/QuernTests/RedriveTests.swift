// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// A leaf of a tree that the number of its bough fixes.
private struct Twig: DurableTask {
    static let type: TaskType = "test.twig"
    var number: Int
    struct Memo: FixedLayoutMemo { var number: Int64 }
}

/// Five twigs, and above depth 0 two more boughs.
private struct Bough: DurableTask {
    static let type: TaskType = "test.bough"
    var number: Int
    var depth: Int
    struct Memo: CodableMemo { var twigs: [Int64] }

    var twigs: [Int] { (0..<5).map { number * 10 + $0 } }
    var boughs: [Int] { depth == 0 ? [] : [number * 10 + 7, number * 10 + 8] }
    var allTwigs: [Int] { twigs + boughs.flatMap { Bough(number: $0, depth: depth - 1).allTwigs } }
    /// What can fail: twigs by their numbers, boughs in `execute` by their negative ones, in `finalize` by these less a
    /// million.
    var faults: [Int] {
        twigs + [-number, -number - 1_000_000] + boughs.flatMap { Bough(number: $0, depth: depth - 1).faults }
    }
}

private struct BoughHandler: OrchestratorHandler {
    struct Handover: Codable, Sendable { var number: Int }
    let faults: Faults
    let journal: Journal

    func execute(_ task: Bough, in context: TaskContext) async throws -> Handover {
        journal.note("execute \(task.number)")
        for number in task.twigs { try context.spawnChild(Twig(number: number)) }
        for number in task.boughs {
            try context.spawnChild(
                Bough(number: number, depth: task.depth - 1), options: TaskOptions(key: "\(number)", tags: ["b"]))
        }
        try faults.check(-task.number)
        return Handover(number: task.number)
    }

    func finalize(_ task: Bough, handover: Handover, in context: FinalizeContext) async throws -> Bough.Memo {
        #expect(handover.number == task.number)
        if context.counts.failures > 0 { throw PermanentError(reason: "children failed") }
        try faults.check(-task.number - 1_000_000)
        var twigs: [Int64] = []
        var seen: Set<TaskID> = []
        for try await memo in context.childMemos(of: Twig.self) { twigs.append(memo.number) }
        for try await child in context.children(of: Bough.self) {
            twigs += try child.result.get().twigs
            seen.insert(child.id)
        }
        // All ways to look at the children agree.
        let sum = try context.reduceMemos(of: Twig.self, into: 0) { $0 += $1.number }
        #expect(sum == task.twigs.reduce(0, +))
        #expect(seen.count == task.boughs.count)
        #expect(context.counts == OutcomeCounts(.completed, count: UInt64(5 + seen.count)))
        return Bough.Memo(twigs: twigs)
    }
}

@Suite("Redrive: only what failed runs again, then finalize on the whole (T12a)", .timeLimit(.minutes(20)))
struct RedriveTests {
    private static let policies: [ChildFailurePolicy] = [.tolerate, .failFast, .budget(count: 1)]

    /// A run of the model: faults change from round to round, and the process may die at any moment.
    private final class World: Sendable {
        let faults = Faults()
        let journal = Journal()
        let policy: ChildFailurePolicy
        /// When the store is to be looked at as a crash leaves it.
        let countdown = Mutex(Int.max)
        let crashed = Mutex<SimulatedFileSystem?>(nil)
        let files: Mutex<SimulatedFileSystem>
        let seed: UInt64
        let openBlockBytes: Int

        init(_ policy: ChildFailurePolicy, seed: UInt64, openBlockBytes: Int = 32 << 20) {
            self.openBlockBytes = openBlockBytes
            self.policy = policy
            self.seed = seed
            files = Mutex(SimulatedFileSystem())
        }

        func make() async throws -> TestScheduler {
            try await TestScheduler(
                files: files.withLock { $0 }, configure: { $0.store.openBlockBytes = openBlockBytes },
                {
                    $0.register(TwigHandler(world: self))
                    $0.register(BoughHandler(faults: faults, journal: journal), onChildFailure: policy)
                })
        }

        func step() {
            let isDue = countdown.withLock { left in
                left = left == .max ? left : left - 1
                return left == 0
            }
            if isDue { crashed.withLock { $0 = files.withLock { $0.crash(keeping: .random(seed: seed)) } } }
        }

        /// Runs until idle; then the store is what the crash left, if there was one.
        func run(crashIn steps: Int?) async throws {
            countdown.withLock { $0 = steps ?? .max }
            let test = try await make()
            await test.runUntilIdle()
            try await test.stop()
            let left = crashed.withLock { crashed in
                defer { crashed = nil }
                return crashed
            }
            if let left { files.withLock { $0 = left } }
        }
    }

    private struct TwigHandler: TaskHandler {
        let world: World
        func execute(_ task: Twig, in context: TaskContext) async throws -> Twig.Memo {
            world.step()
            try world.faults.check(task.number)
            world.journal.note("twig \(task.number)")
            return Twig.Memo(number: Int64(task.number))
        }
    }

    @Test(
        "Redriven until nothing fails, a tree of any depth shows each child once, whatever crashes",
        arguments: 0..<40 as Range<UInt64>, policies)
    func model(seed: UInt64, policy: ChildFailurePolicy) async throws {
        var random = SeededGenerator(seed: seed)
        let world = World(policy, seed: seed)
        let tree = Bough(number: 1, depth: random.below(4))
        let crashes = random.coin()
        let possible = tree.faults
        func changeFaults(_ round: Int) {
            let share = max(0, 4 - round)
            world.faults.set(Set(possible.filter { _ in random.chance(share, in: 20) }))
        }
        changeFaults(0)
        let first = try await world.make()
        _ = try await first.scheduler.submit(tree)
        try await first.stop()
        var (redrives, resubmissions) = (0, 0)
        for round in 0..<200 {
            try await world.run(crashIn: crashes && random.coin() ? 1 + random.below(30) : nil)
            changeFaults(round)
            let test = try await world.make()
            let scheduler = test.scheduler
            if try scheduler.unfinished(Bough.self).isEmpty {
                let last = try #require(try await scheduler.history(limit: 1).first)
                if last.state == .ended(.completed) {
                    let memo = try await scheduler.handle(for: last.id, of: Bough.self).memo()
                    #expect(memo.twigs.sorted() == tree.allTwigs.map(Int64.init).sorted(), "seed \(seed)")
                    if policy == .tolerate, !crashes, resubmissions == 0 {
                        let runs = tree.allTwigs.map { world.journal.count("twig \($0)") }
                        // Those below a bough whose `execute` failed never ran before.
                        #expect(runs.allSatisfy { $0 == 1 }, "seed \(seed)")
                    }
                    try await test.stop()
                    return
                }
                do {
                    try await scheduler.redrive(last.id)
                    redrives += 1
                } catch {
                    #expect(error.code == .notResubmittable, "seed \(seed): \(error)")
                    try await scheduler.resubmit(last.id)
                    resubmissions += 1
                }
                for again in [scheduler.redrive, scheduler.resubmit] {
                    let error = await #expect(throws: SchedulerError.self) { try await again(last.id) }
                    #expect(error?.code == .notResubmittable, "seed \(seed)")
                }
                if crashes, random.coin() {
                    let left = test.files.crash(keeping: .dropAll)
                    world.files.withLock { $0 = left }
                }
            }
            try await test.stop()
        }
        Issue.record("seed \(seed): not done after \(redrives) redrives and \(resubmissions) resubmissions")
    }

    @Test("A tree that completed in spite of failures can be redriven too, and execute does not run again")
    func tolerated() async throws {
        let faults = Faults([3, 5])
        let journal = Journal()
        let test = try await TestScheduler {
            $0.register(
                StepHandler { step, _ in
                    journal.note("step \(step.number)")
                    try faults.check(step.number)
                    return Int64(step.number)
                })
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    journal.note("execute")
                    for number in 0..<plan.children { try context.spawnChild(Step(number: number)) }
                }), onChildFailure: .tolerate)
        }
        let old = try await test.scheduler.submit(Plan(children: 8), options: TaskOptions(group: "g", tags: ["t"]))
        await test.runUntilIdle()
        #expect(try await old.memo() == Plan.Memo(sum: 20, completed: 6, failures: 2, note: "attempt 1"))
        faults.set([5])
        var id = try await test.scheduler.redrive(old.id)
        await test.runUntilIdle()
        let second = try await test.scheduler.handle(for: id, of: Plan.self).memo()
        #expect(second == Plan.Memo(sum: 23, completed: 7, failures: 1, note: "attempt 1"))
        faults.set([])
        id = try await test.scheduler.redrive(id)
        await test.runUntilIdle()
        let third = try await test.scheduler.handle(for: id, of: Plan.self).memo()
        #expect(third == Plan.Memo(sum: 28, completed: 8, failures: 0, note: "attempt 1"))
        #expect(journal.count("execute") == 1)
        #expect((0..<8).map { journal.count("step \($0)") } == [1, 1, 1, 2, 1, 3, 1, 1])
        // Nothing failed: there is nothing to run again.
        let error = await #expect(throws: SchedulerError.self) { try await test.scheduler.redrive(id) }
        #expect(error?.code == .notResubmittable)
        try await test.stop()
    }

    @Test("An aggregate of a redriven tree folds what runs again, that of the old one what is kept, finalize both")
    func aggregates() async throws {
        let faults = Faults([3, 5])
        let sum = Aggregate(of: Step.self, into: Int64(0)) { $0 += $1.value }
        let whole = Mutex<[Int64]>([])
        let test = try await TestScheduler {
            $0.register(
                StepHandler { step, _ in
                    try faults.check(step.number)
                    return Int64(step.number)
                })
            $0.register(
                PlanHandler(onFinalize: { context in
                    let value = try await context.value(of: sum)
                    whole.withLock { $0.append(value) }
                }), onChildFailure: .tolerate)
            $0.maintain(sum, under: Plan.self)
        }
        let old = try await test.scheduler.submit(Plan(children: 8))
        await test.runUntilIdle()
        #expect(try await old.value(of: sum) == 20)
        faults.set([])
        let new = try await test.scheduler.redrive(old.id)
        await test.runUntilIdle()
        #expect(try await test.scheduler.value(of: sum, under: new) == 8)
        #expect(try await test.scheduler.handle(for: new, of: Plan.self).value(of: sum) == 8)
        #expect(try await old.value(of: sum) == 20)
        #expect(whole.withLock { $0 } == [20, 28])
        try await test.stop()
    }

    @Test("Retention leaves a tree alone while it is redriven, after a restart too; one that is dropped fails it")
    func retention() async throws {
        let world = World(.tolerate, seed: 1)
        world.faults.set([12])
        var test = try await world.make()
        var ids: [TaskID] = []
        for _ in 0..<2 { ids.append(try await test.scheduler.submit(Bough(number: 1, depth: 0)).id) }
        await test.runUntilIdle()
        world.faults.set([])
        let nothing = RetentionPolicy(count: 0)
        try await test.scheduler.pause(.everything)
        var redriven: [TaskID] = []
        for id in ids { redriven.append(try await test.scheduler.redrive(id)) }
        #expect(try await test.scheduler.core.store.applyRetention(nothing, now: test.clock.now).trees == 0)
        try await test.stop()
        test = try await world.make()
        try await test.scheduler.pause(.everything)
        let store = test.scheduler.core.store
        #expect(try await store.applyRetention(nothing, now: test.clock.now).trees == 0)
        try await store.dropTree(ids[1])
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        let memo = try await test.scheduler.handle(for: redriven[0], of: Bough.self).memo()
        #expect(memo.twigs.sorted() == [10, 11, 12, 13, 14])
        let outcome = try await test.scheduler.handle(for: redriven[1], of: Bough.self).outcome()
        guard case .failure(.ended(.failed, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
        #expect(failure.reason == "redriven tree is gone")
        #expect(try await store.applyRetention(nothing, now: test.clock.now).trees == 3)
        try await test.stop()
    }

    @Test(
        "S4: whichever call of an opening finds no descriptor or memory, retention leaves alone what is redriven",
        arguments: [FileCall.open, .map, .read])
    func retentionOfShort(call: FileCall) async throws {
        // What the redriven tree left is in the index, which is not read when a store is opened.
        let world = World(.tolerate, seed: 1, openBlockBytes: 1)
        world.faults.set([12])
        let test = try await world.make()
        let id = try await test.scheduler.submit(Bough(number: 1, depth: 0)).id
        await test.runUntilIdle()
        try await test.scheduler.pause(.everything)
        _ = try await test.scheduler.redrive(id)
        try await test.stop()
        let left = world.files.withLock { $0 }
        for number in 1... {
            let files = left.crash(keeping: .keepAll)
            files.faults.fail(call, at: number, with: call == .map ? .noMemory : .tooManyOpenFiles)
            world.files.withLock { $0 = files }
            guard let again = try? await world.make() else { continue }
            let hasFailed = files.faultsFired > 0
            files.faults = FaultPlan()
            if !hasFailed { return try await again.stop() }
            let report = try await again.scheduler.core.store.applyRetention(
                RetentionPolicy(count: 0), now: again.clock.now)
            #expect(report.trees == 0, "\(call) \(number)")
            try? await again.stop()
        }
    }

    @Test("Many failed children are spawned again in bounded transactions, and none twice")
    func many() async throws {
        let faults = Faults(Set(0..<20_000))
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    try faults.check(step.number)
                    return 1
                })
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    let padding = TaskOptions(tags: [String(repeating: "x", count: 200)])
                    try context.spawnChildren((0..<plan.children).map { Step(number: $0) }, options: padding)
                }), onChildFailure: .tolerate)
        } _: { scheduler in
            let old = try await scheduler.submit(Plan(children: 20_010))
            #expect(try await old.memo().failures == 20_000)
            faults.set([])
            let id = try await scheduler.redrive(old.id)
            let memo = try await scheduler.handle(for: id, of: Plan.self).memo()
            #expect(memo.completed == 20_010 && memo.sum == 20_010 && memo.failures == 0)
            #expect(try scheduler.core.store.children(of: id).count == 20_000)
        }
    }
}
