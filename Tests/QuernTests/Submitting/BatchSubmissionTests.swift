// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Batches of any size: atomic, in bounded memory, told in input order (T6, T11)", .timeLimit(.minutes(15)))
struct BatchSubmissionTests {
    private let files = SimulatedFileSystem()

    /// 16 MiB in all: more than belongs in memory.
    private static let many = 64
    private static let size = 1 << 18

    @Test("While a large batch comes, its tasks are in the log and seen by nobody; then all are there, in order")
    func staged() async throws {
        let order = Order()
        try await withScheduler(files, concurrency: 1) {
            $0.register(Cargo.handler(order))
        } _: { scheduler in
            let store = scheduler.core.store
            let tasks = (0..<Self.many).lazy.map { number in
                #expect(store.totals.live == 0)
                #expect(store.stagedCount >= UInt64(max(0, number - 20)))
                return Cargo(number: number, bytes: Self.size)
            }
            let handles = try await scheduler.submit(contentsOf: tasks)
            #expect(store.stagedCount == 0)
            #expect(handles.map(\.id.rawValue) == Array(1...UInt64(Self.many)))
            for (number, handle) in handles.enumerated() {
                #expect(handle.submission == .inserted)
                #expect(try await handle.memo().value == Int64(number))
            }
        }
        #expect(order.numbers == Array(0..<Self.many))
    }

    @Test("An error, a cancellation or a crash in the middle of a batch leaves nothing", arguments: 0...2)
    func abandoned(reason: Int) async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let store = scheduler.core.store
        let image = Mutex<SimulatedFileSystem?>(nil)
        let submission = Task { [files] in
            let tasks = (0..<Self.many).lazy.map { number in
                if number == Self.many - 10 {
                    #expect(store.stagedCount > 0)
                    switch reason {
                    case 0: return Cargo(number: -1)
                    case 1: withUnsafeCurrentTask { $0?.cancel() }
                    default: image.withLock { $0 = files.crash(keeping: .keepAll) }
                    }
                }
                return Cargo(number: number, bytes: Self.size)
            }
            return try await scheduler.submit(all: tasks)
        }
        switch (reason, await submission.result) {
        case (0, .failure(let error)): #expect((error as? SchedulerError)?.code == .payloadNotEncodable)
        case (1, .failure(let error)): #expect((error as? SchedulerError)?.code == .cancelled)
        case (2, .success(let batch)): #expect(batch.counts.inserted == UInt64(Self.many))
        case (_, let result): Issue.record("\(result)")
        }
        if reason < 2 {
            // The stage is dropped behind what is on its way.
            try await store.append(Transaction())
            #expect(store.stagedCount == 0 && store.totals.live == 0)
        }
        let crashed = image.withLock { $0 }
        try await scheduler.close()
        let again = try await TaskScheduler.forCargo(crashed ?? files)
        #expect(again.core.store.totals.live == 0 && again.core.store.stagedCount == 0)
        #expect(try await again.submit(Cargo(number: 7)).submission == .inserted)
        try await again.close()
    }

    @Test("After a commit that was synced, a loss of power keeps the batch whole")
    func powerLoss() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        try await scheduler.submit(all: (0..<Self.many).lazy.map { Cargo(number: $0, bytes: Self.size) })
        let remains = files.crash(keeping: .dropAll)
        try await scheduler.close()
        let again = try await TaskScheduler.forCargo(remains)
        #expect(try again.core.store.cargo() == Array(0..<Self.many))
        try await again.close()
    }

    @Test(
        "A batch that goes through the log is told of as one that does not, task by task and in sum", arguments: 1...12)
    func sameWhateverTheSize(seed: UInt64) async throws {
        var results: [[String]] = []
        for bytes in [0, Self.size] {
            var random = SeededGenerator(seed: seed)
            let scheduler = try await TaskScheduler.forCargo()
            var result: [String] = []
            // Who of all batches so far has got an id, by that.
            var names: [TaskID: String] = [:]
            for batch in 0..<4 {
                let tasks = (0..<(20 + random.below(20))).map { Cargo(number: $0, bytes: bytes) }
                let keys = tasks.map { _ in random.chance(1, in: 4) ? nil : "\(random.below(30))" }
                let policy: DuplicatePolicy = random.pick([.skip, .skip, .ignore, .replace, .reject])
                let options = TaskOptions(onDuplicate: policy, priority: UInt8(random.below(9)))
                if batch == 3 {
                    let sum = try await scheduler.submit(all: tasks, options: options, key: { keys[$0.number] })
                    result.append("\(sum.counts)")
                    let ids = Set(sum.ids.flatMap { $0 })
                    let inserted = sum.counts.inserted + sum.counts.replaced
                    #expect(bytes == 0 ? UInt64(ids.count) == inserted : UInt64(ids.count) >= inserted)
                    continue
                }
                let handles = try await scheduler.submit(
                    contentsOf: tasks, options: options, key: { keys[$0.number] })
                for (number, handle) in handles.enumerated() where names[handle.id] == nil {
                    let isNew =
                        switch handle.submission {
                        case .inserted, .replaced: true
                        default: false
                        }
                    if isNew { names[handle.id] = "\(batch)/\(number)" }
                }
                for handle in handles {
                    let old = if case .replaced(let old) = handle.submission { names[old] ?? "?" } else { "" }
                    let kind = "\(String(describing: handle.submission).prefix(18))"
                    result.append("\(names[handle.id] ?? "?") \(kind) \(old)")
                }
                #expect(!result.contains { $0.contains("?") }, "seed \(seed)")
            }
            results.append(result)
            try await scheduler.close()
        }
        #expect(results[0] == results[1], "seed \(seed)")
    }

    @Test("What becomes of many is told in numbers, and their ids as ranges; of none nothing is written")
    func summary() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let none = try await scheduler.submit(all: [Cargo]())
        #expect(none.counts.total == 0 && none.ids.isEmpty && scheduler.core.store.lastTask == .none)
        func submit(_ numbers: Range<Int>, _ policy: DuplicatePolicy? = nil, priority: UInt8? = nil) async throws
            -> BatchSubmission
        {
            try await scheduler.submit(
                all: numbers.lazy.map { Cargo(number: $0, bytes: $0 % 2 == 0 ? 0 : Self.size) },
                options: TaskOptions(onDuplicate: policy, priority: priority),
                key: { $0.number % 10 == 0 ? nil : "\($0.number)" })
        }
        let first = try await submit(0..<100)
        #expect(first.counts.inserted == 100 && first.counts.total == 100 && first.ids == [1..<101])
        let second = try await submit(95..<105)
        #expect(second.counts.inserted == 5 && second.counts.duplicates == 5 && second.ids == [101..<106])
        let upgraded = try await submit(0..<100, priority: 1)
        #expect(upgraded.counts.inserted == 10 && upgraded.counts.upgraded == 90)
        #expect(upgraded.ids.count == 1 && upgraded.ids[0].lowerBound == 106)
        let rejected = try await submit(1..<5, .reject)
        #expect(rejected.counts.rejected == 4 && rejected.ids.isEmpty)
        let replaced = try await submit(1..<5, .replace)
        #expect(replaced.counts.replaced == 4 && replaced.counts.total == 4)
        try await scheduler.close()
    }

    @Test("Without space for its tasks a batch is refused whole, and is taken when there is space")
    func noSpace() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let tasks = (0..<Self.many).lazy.map { Cargo(number: $0, bytes: Self.size) }
        var plan = FaultPlan()
        plan.fail(.write, at: 2, with: .noSpace, .fromThenOn, in: "log-")
        files.faults = plan
        do {
            try await scheduler.submit(all: tasks)
            Issue.record("there is no space")
        } catch { #expect(error.cause?.code == .noSpace) }
        files.faults = FaultPlan()
        #expect(scheduler.core.store.totals.live == 0)
        #expect(try await scheduler.submit(all: tasks).counts.inserted == UInt64(Self.many))
        try await scheduler.close()
    }

    @Test("Middleware sees each task as it comes; what it refuses has nothing of the batch submitted")
    func middleware() async throws {
        struct Inspector: TaskMiddleware {
            func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws {
                if (task as? Cargo)?.number == 60 { throw Trouble("heavy") }
            }
        }
        let scheduler = try await TaskScheduler.forCargo(files) { $0.use { Inspector() } }
        func submit(_ count: Int) async throws(SchedulerError) {
            try await scheduler.submit(all: (0..<count).lazy.map { Cargo(number: $0, bytes: Self.size) })
        }
        try await submit(60)
        do {
            try await submit(61)
            Issue.record("it is refused")
        } catch { #expect(error.code == .refused && error.message.contains("heavy")) }
        #expect(scheduler.core.store.totals.live == 60)
        try await scheduler.close()
    }

    @Test("Middleware that passes tasks on twice has them refused; one that keeps an error to itself does not hide it")
    func unruly() async throws {
        struct Unruly: TaskMiddleware {
            var isTwice: Bool
            func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
                try? await next(submission)
                if isTwice { try await next(submission) }
            }
        }
        for isTwice in [true, false] {
            let scheduler = try await TaskScheduler.forCargo { $0.use { Unruly(isTwice: isTwice) } }
            do {
                _ = try await scheduler.submit(Cargo(number: -1))
                Issue.record("it is refused")
            } catch { #expect(error.code == (isTwice ? .refused : .payloadNotEncodable)) }
            try await scheduler.close()
        }
    }
}
