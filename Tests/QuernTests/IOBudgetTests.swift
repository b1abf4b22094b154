// SPDX-License-Identifier: Apache-2.0
import Metrics
import MetricsTestKit
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// A type of which 300 bytes are expected to be read.
private struct Upload: DurableTask {
    static let type: TaskType = "test.upload"
    static let options = TaskOptions(expectedIO: IOEstimate(readBytes: 300))
    var number: Int
    typealias Memo = NoMemo
}

private struct Uploader: TaskHandler {
    let order: Order
    var records: IOEstimate?

    func execute(_ task: Upload, in context: TaskContext) async throws -> NoMemo {
        order.note(task.number)
        if let records {
            // In parts, as they come.
            context.recordIO(read: records.readBytes)
            context.recordIO(written: records.writeBytes)
        }
        return NoMemo()
    }
}

private struct Uploads: TaskDomain {
    let name = "uploads"
    let options = TaskOptions(expectedIO: IOEstimate(writeBytes: 70))
    var ioBudget: ByteBudget?
    var order = Order()

    func register(in registry: inout Registry) throws {
        registry.register(StepHandler.noting(in: order))
        registry.register(Uploader(order: order))
    }
}

@Suite("Budgets of reads and writes (T16)", .timeLimit(.minutes(20)))
struct IOBudgetTests {
    private func expectedBytes(_ scheduler: TaskScheduler, _ id: TaskID) throws -> IOEstimate? {
        let run = try #require(scheduler.core.store.liveTasks().runs.first { $0.run.firstID == id })
        return scheduler.core.attributes(of: run.run)?.expectedIO
    }

    @Test("What takes more than there is leaves a debt, which is filled before the next starts")
    func debt() {
        var now = Timestamp(milliseconds: 0)
        func after(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }
        var bucket = TokenBucket(ByteBudget(bytesPerSecond: 1000, burst: 50), now: now)
        var available = bucket.available(at: now)
        #expect(available == 50)
        bucket.take(250, at: now)
        available = bucket.available(at: now)
        let next = bucket.nextToken(after: now)
        #expect(available == 0 && next == after(201))
        now = after(201)
        available = bucket.available(at: now)
        #expect(available == 1)
        bucket.giveBack(Int.max)
        available = bucket.available(at: now)
        #expect(available == 50)
        for _ in 0..<10 { bucket.take(Int.max, at: now) }
        available = bucket.available(at: after(Int64.max))
        #expect(available == 50, "no debt is too deep to count with")
        bucket = TokenBucket(ByteBudget(bytesPerSecond: 1000, burst: 50), now: after(0))
        bucket.take(60, at: after(100_000))
        available = bucket.available(at: after(100_000))
        #expect(available == 0, "a quiet time is worth a burst, whenever it is looked at")
        #expect(ByteBudget(bytesPerSecond: 0).bytesPerSecond == 1 && ByteBudget(bytesPerSecond: 5).burst == 5)
        #expect(IOEstimate(readBytes: .max, writeBytes: 1).total == Float(1 << 50 as Int))
    }

    @Test("What is expected is said at the call, of the type, of the domain, of the scheduler, in this order")
    func precedence() async throws {
        var configuration = TaskScheduler.Configuration.simulated(SimulatedFileSystem())
        configuration.options.expectedIO = IOEstimate(readBytes: 5)
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration) {
            try $0.register(domain: Uploads())
            $0.register(PlanHandler())
        }
        func bytes(_ id: TaskID) throws -> Float {
            try #require(
                scheduler.core.read { core in
                    var queues = core.dispatcher.queues
                    var found: Float?
                    queues.remove(now: Timestamp(milliseconds: 0), { $0.run.firstID == id ? 1 : 0 }) {
                        found = $0.ioBytes
                    }
                    return found
                })
        }
        let own = IOEstimate(readBytes: 9, writeBytes: 2)
        let upload = try await scheduler.submit(Upload(number: 1)).id
        let other = try await scheduler.submit(Upload(number: 2), options: TaskOptions(expectedIO: own)).id
        let none = try await scheduler.submit(Upload(number: 3), options: TaskOptions(expectedIO: IOEstimate())).id
        let step = try await scheduler.submit(Step(number: 4)).id
        let plan = try await scheduler.submit(Plan(children: 0)).id
        #expect(try bytes(upload) == 300 && bytes(other) == 11 && bytes(none) == 0)
        #expect(try bytes(step) == 70 && bytes(plan) == 5)
        // Only what differs from the type is kept with the task.
        let same = TaskOptions(expectedIO: Upload.options.expectedIO)
        let alike = try await scheduler.submit(Upload(number: 5), options: same).id
        #expect(try expectedBytes(scheduler, upload) == nil && expectedBytes(scheduler, alike) == nil)
        #expect(try expectedBytes(scheduler, other) == own && expectedBytes(scheduler, none) == IOEstimate())
        try await scheduler.close()
    }

    @Test("Tasks start as their budget allows, one of any size runs, and others go on; a restart changes nothing")
    func budget() async throws {
        let files = SimulatedFileSystem()
        var order = Order()
        func makeTest(at now: Timestamp) async throws -> TestScheduler {
            try await TestScheduler(files: files, now: now) {
                $0.register(
                    Uploader(order: order), ioBudget: ByteBudget(bytesPerSecond: 1000, burst: 600))
                $0.register(StepHandler.noting(in: order))
            }
        }
        var test = try await makeTest(at: Timestamp(milliseconds: 1_000_000))
        _ = try await test.scheduler.submit(contentsOf: (1...4).map(Upload.init))
        await test.runUntilIdle()
        #expect(order.numbers == [1, 2])
        await test.advance(by: .milliseconds(1))
        #expect(order.numbers == [1, 2, 3], "any token lets one start")
        _ = try await test.scheduler.submit(Step(number: 9))
        await test.advance(by: .milliseconds(299))
        #expect(order.numbers == [1, 2, 3, 9])
        await test.advance(by: .milliseconds(1))
        #expect(order.numbers == [1, 2, 3, 9, 4])

        let large = TaskOptions(priority: 1, expectedIO: IOEstimate(readBytes: 4000, writeBytes: 1000))
        _ = try await test.scheduler.submit(Upload(number: 5), options: large)
        _ = try await test.scheduler.submit(Upload(number: 6), options: large)
        _ = try await test.scheduler.submit(Upload(number: 7))
        try await test.stop()
        order = Order()
        test = try await makeTest(at: test.clock.now)
        await test.runUntilIdle()
        #expect(order.numbers == [5], "larger than the burst")
        await test.advance(by: .milliseconds(4400))
        #expect(order.numbers == [5])
        await test.advance(by: .milliseconds(1))
        #expect(order.numbers == [5, 6])
        await test.advance(by: .seconds(6))
        #expect(order.numbers == [5, 6, 7])
        try await test.stop()
    }

    @Test("What a handler says that it did counts instead of what was expected, also where nothing was")
    func recorded() async throws {
        let order = Order()
        let records = IOEstimate(readBytes: 10, writeBytes: 20)
        let test = try await TestScheduler {
            $0.register(Uploader(order: order, records: records))
            $0.register(
                StepHandler { step, context in
                    order.note(step.number)
                    context.recordIO(written: 600)
                    return 1
                })
            $0.register(PlanHandler(onFinalize: { $0.recordIO(read: 5000) }))
        }
        let scheduler = test.scheduler
        try scheduler.setIOBudget(ByteBudget(bytesPerSecond: 1000, burst: 300), for: .everything)
        _ = try await scheduler.submit(contentsOf: (1...12).map(Upload.init))
        await test.runUntilIdle()
        #expect(order.numbers == Array(1...10), "30 bytes each")
        await test.advance(by: .seconds(1))
        #expect(order.numbers == Array(1...12))

        _ = try await scheduler.submit(contentsOf: (21...22).map { Step(number: $0) })
        await test.runUntilIdle()
        #expect(order.numbers.suffix(2) == [21, 22], "nothing was expected, so nothing holds them back")
        _ = try await scheduler.submit(Upload(number: 31))
        await test.advance(by: .milliseconds(900))
        #expect(order.numbers.last == 22)
        await test.advance(by: .milliseconds(200))
        #expect(order.numbers.last == 31)

        _ = try await scheduler.submit(Plan(children: 0)).memo()
        _ = try await scheduler.submit(Upload(number: 32))
        await test.advance(by: .milliseconds(4000))
        #expect(order.numbers.last == 31)
        try scheduler.setIOBudget(nil, for: .everything)
        await test.runUntilIdle()
        #expect(order.numbers.last == 32)
        try await test.stop()
    }

    @Test("Domains and groups have budgets too, which can be changed while tasks wait")
    func scopes() async throws {
        let order = Order()
        let test = try await TestScheduler {
            try $0.register(domain: Uploads(ioBudget: ByteBudget(bytesPerSecond: 1, burst: 370), order: order))
        }
        let scheduler = test.scheduler
        _ = try await scheduler.submit(Upload(number: 1))
        await test.runUntilIdle()
        _ = try await scheduler.submit(Step(number: 2))
        await test.runUntilIdle()
        _ = try await scheduler.submit(Upload(number: 3))
        await test.runUntilIdle()
        #expect(order.numbers == [1, 2], "the domain's types share")
        try scheduler.setIOBudget(nil, for: .domain("uploads"))
        await test.runUntilIdle()
        #expect(order.numbers == [1, 2, 3])

        try scheduler.setIOBudget(ByteBudget(bytesPerSecond: 1, burst: 1), for: .group("a"))
        _ = try await scheduler.submit(contentsOf: (4...5).map(Upload.init), options: TaskOptions(group: "a"))
        _ = try await scheduler.submit(Upload(number: 6), options: TaskOptions(group: "b"))
        await test.runUntilIdle()
        #expect(order.numbers.count == 5 && !order.numbers.contains(5))
        try scheduler.setIOBudget(ByteBudget(bytesPerSecond: 1), for: .group("a"))
        await test.runUntilIdle()
        #expect(order.numbers.last == 5)
        #expect(throws: SchedulerError.self) { try scheduler.setIOBudget(nil, for: .type("test.unknown")) }
        #expect(throws: SchedulerError.self) { try scheduler.setIOBudget(nil, for: .domain("test.unknown")) }
        try await test.stop()
    }

    @Test("A pull has as many tasks as the budget has room for")
    func pulls() throws {
        let budget = ByteBudget(bytesPerSecond: 1000, burst: 1050)
        var dispatcher = Dispatcher(
            facts: [TypeFacts(ioBudget: budget, ioBytes: 100)], limits: Dispatcher.Limits(concurrency: 1))
        dispatcher.isRunning = true
        dispatcher.sizes.costs[0] = 10
        dispatcher.spawned(.test(1, count: 64, parent: 0))
        let start = try #require(dispatcher.takeEffects().starts.first)
        let first = dispatcher.next(for: start.worker, at: start.place, isFirst: true)
        let pull = try #require(first)
        #expect(pull.claims.remaining.nonzeroBitCount == 10)
        while pull.claims.claimNext() != nil {}
        var report = PullReport(tried: 10, ended: OutcomeCounts(.completed))
        report.io = RecordedIO(readBytes: 50, writeBytes: 250, tasks: 8)
        dispatcher.finished(start.worker, report)
        // 50 were left, and eight took 500 less than expected.
        let second = dispatcher.next(for: start.worker, at: start.place)
        #expect(second?.claims.remaining.nonzeroBitCount == 5)
    }

    @Test("What is expected takes no memory of a task that waits")
    func memory() {
        #expect(MemoryLayout<ReadyRun>.stride == MemoryLayout<SpawnRun>.stride + 24)
        #expect(MemoryLayout<WaitingParent>.stride == MemoryLayout<SpawnRun>.stride + 32)
    }

    @Test("Statistics and metrics tell what was read and written")
    func statistics() async throws {
        let metrics = TestMetrics()
        func configure(_ configuration: inout TaskScheduler.Configuration) {
            configuration.metrics = metrics
            configuration.name = "q"
        }
        let records = IOEstimate(readBytes: 10, writeBytes: 20)
        let test = try await TestScheduler(configure: configure) {
            $0.register(Uploader(order: Order(), records: records))
        }
        _ = try await test.scheduler.submit(contentsOf: (1...3).map(Upload.init))
        await test.runUntilIdle()
        let statistics = try #require(test.scheduler.statistics(of: Upload.type))
        #expect(statistics.readBytes == 30 && statistics.writtenBytes == 60)
        for (direction, total) in [("read", 30), ("written", 60)] as [(String, Int64)] {
            let dimensions = [("name", "test.upload"), ("queue", "q"), ("direction", direction)]
            #expect(try metrics.expectCounter("quern.tasks.bytes", dimensions).totalValue == total)
        }
        try await test.stop()
    }
}
