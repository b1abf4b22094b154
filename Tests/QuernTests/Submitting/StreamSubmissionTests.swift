// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// Tasks from one number up to another, one at a time.
private struct Deliveries: AsyncSequence, Sendable {
    typealias Element = Cargo
    typealias Failure = any Error
    var numbers: Range<Int>
    var bytes = 0
    var onNext: @Sendable (Int) async throws -> Void = { _ in }

    func makeAsyncIterator() -> Iterator { Iterator(next: numbers.lowerBound, source: self) }

    struct Iterator: AsyncIteratorProtocol {
        var next: Int
        let source: Deliveries

        mutating func next(isolation actor: isolated (any Actor)?) async throws -> Cargo? {
            guard next < source.numbers.upperBound else { return nil }
            try await source.onNext(next)
            defer { next += 1 }
            return Cargo(number: next, bytes: source.bytes)
        }
    }
}

@Suite("Streams from outside: in durable chunks, read no faster than stored (T6, T11)", .timeLimit(.minutes(15)))
struct StreamSubmissionTests {
    private let files = SimulatedFileSystem()

    @Test("Each chunk is there, whole and in order, before more than the first task of the next is asked for")
    func backPressure() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let store = scheduler.core.store
        let counts = try await scheduler.submit(
            stream: Deliveries(numbers: 0..<95) { number in
                #expect(store.totals.live == number / 10 * 10)
            }, chunk: 10)
        #expect(counts.inserted == 95 && counts.total == 95)
        #expect(try store.cargo() == Array(0..<95))
        let live = files.crash(keeping: .dropAll)
        try await scheduler.close()
        let again = try await TaskScheduler.forCargo(live)
        #expect(again.core.store.totals.live == 95)
        try await again.close()
    }

    @Test("Large tasks make small chunks: a mebibyte and the task that goes beyond it")
    func largeTasks() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let store = scheduler.core.store
        let sizes = Mutex<[Int]>([])
        let counts = try await scheduler.submit(
            stream: Deliveries(numbers: 0..<20, bytes: 300 << 10),
            onChunk: { handles in
                sizes.withLock { $0.append(handles.count) }
                #expect(handles.allSatisfy { store.isLive($0.id) && $0.submission == .inserted })
            })
        #expect(counts.inserted == 20 && sizes.withLock { $0 } == [4, 4, 4, 4, 4])
        try await scheduler.close()
    }

    @Test("What a stream gave before it failed is durable, and its error is thrown")
    func failingSource() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        await #expect(throws: Trouble.self) {
            try await scheduler.submit(
                stream: Deliveries(numbers: 0..<95) { if $0 == 37 { throw Trouble("torn") } }, chunk: 10)
        }
        #expect(try scheduler.core.store.cargo() == Array(0..<37))
        try await scheduler.close()
    }

    @Test("What a stream gave before its caller was cancelled is durable, also when it ends in silence then")
    func cancelled() async throws {
        for isSilent in [false, true] {
            let scheduler = try await TaskScheduler.forCargo()
            let gate = Gate()
            let caller = Task {
                if isSilent {
                    let (stream, continuation) = AsyncStream.makeStream(of: Cargo.self)
                    for number in 0..<37 { continuation.yield(Cargo(number: number)) }
                    let mapped = stream.map { cargo in
                        if cargo.number == 36 { gate.open() }
                        return cargo
                    }
                    try await scheduler.submit(stream: mapped, chunk: 10)
                } else {
                    let source = Deliveries(numbers: 0..<95) { number in
                        if number == 36 { withUnsafeCurrentTask { $0?.cancel() } }
                    }
                    try await scheduler.submit(stream: source, chunk: 10)
                }
            }
            if isSilent {
                await gate.pass()
                caller.cancel()
            }
            await #expect(throws: CancellationError.self) { try await caller.value }
            #expect(try scheduler.core.store.cargo() == Array(0..<37))
            try await scheduler.close()
        }
    }

    @Test("A task that cannot be stored takes its chunk with it, and leaves those before")
    func unencodable() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        let stream = Deliveries(numbers: 0..<95).map { $0.number == 37 ? Cargo(number: -1) : $0 }
        do {
            try await scheduler.submit(stream: stream, chunk: 10)
            Issue.record("it cannot be stored")
        } catch { #expect((error as? SchedulerError)?.code == .payloadNotEncodable) }
        #expect(try scheduler.core.store.cargo() == Array(0..<30))
        try await scheduler.close()
    }

    @Test("What a callback throws ends the stream behind its chunk")
    func failingCallback() async throws {
        let scheduler = try await TaskScheduler.forCargo(files)
        await #expect(throws: Trouble.self) {
            try await scheduler.submit(stream: Deliveries(numbers: 0..<95), chunk: 10) { handles in
                if handles[0].id.rawValue > 20 { throw Trouble("enough") }
            }
        }
        #expect(try scheduler.core.store.cargo() == Array(0..<30))
        try await scheduler.close()
    }

    @Test(
        "After a crash at any moment whole chunks are there, and with keys the stream can be sent again",
        arguments: 1...12)
    func sentAgain(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let scheduler = try await TaskScheduler.forCargo(files)
        files.faults = .crashing(afterCall: 1 + random.below(20))
        _ = try? await scheduler.submit(stream: Deliveries(numbers: 0..<95), key: { "\($0.number)" }, chunk: 10)
        let policies: [CrashPolicy] = [.keepAll, .dropAll, .random(seed: seed, tearing: .bytes)]
        let remains = files.crash(keeping: random.pick(policies))
        files.faults = FaultPlan()
        try? await scheduler.close()
        let again = try await TaskScheduler.forCargo(remains)
        let known = again.core.store.totals.live
        #expect(known % 10 == 0 || known == 95, "seed \(seed)")
        #expect(try again.core.store.cargo() == Array(0..<known), "seed \(seed)")
        let counts = try await again.submit(
            stream: Deliveries(numbers: 0..<95), options: TaskOptions(priority: 9), key: { "\($0.number)" }, chunk: 7)
        #expect(counts.upgraded == UInt64(known) && counts.inserted == UInt64(95 - known), "seed \(seed)")
        #expect(try again.core.store.cargo() == Array(0..<95), "seed \(seed)")
        try await again.close()
    }

    @Test(
        "Of a chunk's tasks with one key the last one counts, of later chunks' as the options say; middleware sees all")
    func keysAndMiddleware() async throws {
        struct Tagging: TaskMiddleware {
            let seen: Order
            func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
                var submission = submission
                submission.options.tags.append("\(submission.type)")
                try await next(submission)
            }
            func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws {
                #expect(submission.options.tags == ["test.cargo"])
                seen.note((task as? Cargo)?.number ?? -1)
            }
        }
        let seen = Order()
        let scheduler = try await TaskScheduler.forCargo(files) { $0.use { Tagging(seen: seen) } }
        let submissions = Mutex<[Submission?]>([])
        let counts = try await scheduler.submit(
            stream: Deliveries(numbers: 0..<6), key: { "\($0.number % 2)" }, chunk: 3,
            onChunk: { handles in submissions.withLock { $0 += handles.map(\.submission) } })
        #expect(counts.inserted == 2 && counts.duplicates == 4 && seen.numbers == Array(0..<6))
        let expected: [Submission?] = [.duplicate, .inserted, .inserted, .duplicate, .duplicate, .duplicate]
        #expect(submissions.withLock { $0 } == expected)
        #expect(try scheduler.core.store.cargo() == [1, 2])
        try await scheduler.close()
    }
}
