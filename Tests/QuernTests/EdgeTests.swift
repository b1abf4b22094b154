// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Values at the edges of their ranges and beyond", .timeLimit(.minutes(20)))
struct EdgeTests {
    private struct Blob: Codable, Sendable { var bytes: [UInt8] }

    private struct Heavy: OrchestratorHandler {
        struct Work: DurableTask {
            static let type: TaskType = "test.heavy"
            var size: Int
            typealias Memo = NoMemo
        }
        func execute(_ task: Work, in context: TaskContext) async throws -> Blob {
            Blob(bytes: [UInt8](repeating: 7, count: task.size))
        }
        func finalize(_ task: Work, handover: Blob, in context: FinalizeContext) async throws -> NoMemo {
            if handover.bytes.count != task.size { throw Trouble("\(handover.bytes.count)") }
            return NoMemo()
        }
    }

    @Test("A hand-over that is too large fails its own task and nothing else (T5, T13)")
    func handover() async throws {
        let test = try await TestScheduler {
            $0.register(Heavy())
            $0.register(StepHandler())
        }
        // Four bytes are the length.
        for excess in [-12, -11, -5, -4, 0, 100] {
            let handle = try await test.scheduler.submit(Heavy.Work(size: Limits.valueBytes - 4 + excess))
            await test.runUntilIdle()
            let outcome = try await handle.outcome()
            #expect([.completed, .failed].contains(outcome.kind), "\(excess)")
            if excess < -8 { #expect(outcome.kind == .completed) }
            if excess > 0 { #expect(outcome.kind == .failed) }
            let next = try await test.scheduler.submit(Step(number: 1))
            await test.runUntilIdle()
            #expect(try await next.outcome().kind == .completed)
        }
        try await test.stop()
    }

    @Test("Any number of handlers at a time may be asked for (T16)", arguments: [Int.min, 0, 1, Int.max])
    func concurrency(most: Int) async throws {
        try await withScheduler(concurrency: most) {
            $0.register(StepHandler(), concurrency: most)
            $0.register(PlanHandler(), runsOn: .threads)
        } _: { scheduler in
            try scheduler.setConcurrency(most, for: .everything)
            try scheduler.setConcurrency(most, for: .type(Plan.type))
            try scheduler.setConcurrency(nil, for: .type(Plan.type))
            try scheduler.setConcurrency(nil, for: .type(Step.type))
            #expect(try await scheduler.submit(Plan(children: 100)).memo().completed == 100)
        }
    }

    @Test(
        "An interval of aging that is none does no harm (T16)",
        arguments: [Duration.zero, .seconds(-1), .seconds(Int64.min), .nanoseconds(1), .seconds(Int64.max)])
    func aging(interval: Duration) async throws {
        let journal = Journal()
        let test = try await TestScheduler(
            configure: { $0.aging = interval }, { $0.register(StepHandler.noting(in: journal)) })
        try await test.scheduler.pause(.everything)
        _ = try await test.scheduler.submit(Step(number: 1))
        await test.runUntilIdle()
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        #expect(journal.count("step") == 1)
        try await test.stop()
    }

    @Test("Retry policies out of range are brought into it, and are read back as they were stored (T15)")
    func retryPolicies() throws {
        var wild = RetryPolicy.linear(by: .seconds(1), attempts: 3)
        wild.maximumAttempts = 0
        wild.jitter = 7
        wild.firstDelay = .seconds(Int64.max)
        wild.cap = .seconds(Int64.max)
        var negative = RetryPolicy.constant(.seconds(1), attempts: 3)
        negative.jitter = -.infinity
        negative.firstDelay = .seconds(Int64.min)
        negative.cap = .seconds(-5)
        var odd = RetryPolicy.exponential(from: .seconds(1), attempts: .max)
        odd.jitter = .nan
        let policies = [
            wild, negative, odd, .exponential(from: .seconds(1), factor: .infinity, attempts: 3),
            .exponential(from: .seconds(1), factor: .nan, attempts: 3),
            .exponential(from: .zero, factor: .greatestFiniteMagnitude, attempts: 3, jitter: .nan),
        ]
        for policy in policies {
            let attributes = try TaskAttributes(TaskOptions(retry: policy))
            #expect(try TaskAttributes(decoding: attributes.encoded()) == attributes)
            for attempts: UInt32 in [0, 1, 2, 1000] {
                let delay = policy.delay(afterAttempt: attempts, of: TaskID(7))
                #expect(delay >= .zero && delay <= RetryPolicy.longestDelay, "\(policy) \(attempts)")
            }
        }
    }

    @Test("A recurrence from a configuration file that makes no sense has some sense", arguments: [0, -5, Int64.min])
    func recurrence(milliseconds: Int64) throws {
        let json = Data("{\"rule\":{\"interval\":{\"milliseconds\":\(milliseconds)}}}".utf8)
        guard let recurrence = try? JSONDecoder().decode(Recurrence.self, from: json) else { return }
        let now = Timestamp(milliseconds: 1_000_000)
        let source = TickSource(recurrence, zone: .utc, start: Timestamp(milliseconds: 0))
        #expect(try #require(source.next(after: now)) > now)
    }

    @Test("A progress report of a task that has ended is not kept")
    func lateReport() async throws {
        let contexts = Mutex<[TaskContext]>([])
        let test = try await TestScheduler {
            $0.register(
                StepHandler { _, context in
                    context.report(completed: 1)
                    contexts.withLock { $0.append(context) }
                    return 1
                })
        }
        _ = try await test.scheduler.submit(Step(number: 1))
        await test.runUntilIdle()
        for context in contexts.withLock({ $0 }) { context.report(completed: 2) }
        #expect(!test.scheduler.core.progress.isUsed)
        try await test.stop()
    }
}
