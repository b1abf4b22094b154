// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern

/// A memo that a test can make impossible to encode or to decode.
private struct Fragile: DurableTask {
    static let type: TaskType = "test.fragile"
    var mode: Mode
    enum Mode: String, Codable { case fine, unencodable, undecodable, huge }

    struct Memo: TaskMemo, Equatable {
        var mode: Mode

        func encodeMemo(into writer: inout ByteWriter) throws {
            switch mode {
            case .fine: writer.append(1)
            case .undecodable: writer.append(2)
            case .unencodable:
                writer.append(3)
                throw Trouble("no bytes for this")
            case .huge: writer.append(zeros: Limits.valueBytes + 1)
            }
        }

        static func decodeMemo(_ bytes: RawSpan) throws -> Self {
            guard bytes.byteCount == 1, bytes.withUnsafeBytes({ $0[0] }) == 1 else { throw Trouble("strange bytes") }
            return Self(mode: .fine)
        }
    }
}

private struct FragileHandler: TaskHandler {
    func execute(_ task: Fragile, in context: TaskContext) async throws -> Fragile.Memo {
        Fragile.Memo(mode: task.mode)
    }
}

@Suite("Failure: partial failure, retries, policies", .timeLimit(.minutes(20)))
struct FailureTests {
    @Test("Some failures of many are a line in the summary, and the parent may succeed (T8)")
    func tolerate() async throws {
        let summary = Mutex("")
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    if step.number % 100 == 0 {
                        throw PermanentError(reason: "permission denied", detail: "/\(step.number)")
                    }
                    return 1
                })
            $0.register(
                PlanHandler(onFinalize: { context in
                    let text = try await context.failureSummary(classes: 10, samplesPerClass: 3).description
                    summary.withLock { $0 = text }
                }), onChildFailure: .tolerate)
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 250)).memo()
            #expect(memo.completed == 247 && memo.failures == 3 && memo.sum == 247)
            #expect(summary.withLock { $0 }.hasPrefix("3 of 250 failed: permission denied: /"))
        }
    }

    @Test("With fail-fast the first failure cancels the siblings and fails the parent; finalize does not run (T8)")
    func failFast() async throws {
        let journal = Journal()
        try await withScheduler {
            $0.register(
                StepHandler { step, _ in
                    if step.number == 0 { throw PermanentError(reason: "broken", detail: "step 0") }
                    journal.note("waits")
                    try await Task.sleep(for: .seconds(100))
                    return 1
                })
            $0.register(PlanHandler(onFinalize: { _ in journal.note("finalized") }))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 200))
            let error = await #expect(throws: TaskFailedError.self) { try await handle.memo() }
            #expect(error?.kind == .failed)
            #expect(error?.failure.reason == "child failed")
            #expect(error?.failure.detail.hasSuffix("(test.step): broken: step 0") == true)
            let children = try scheduler.core.store.children(of: handle.id).counts
            #expect(children.failed == 1 && children.cancelled == 199)
            #expect(journal.count("finalized") == 0)
        }
    }

    @Test("A failure travels up through fail-fast parents, and stops at one that tolerates it (T10)")
    func transitiveFailure() async throws {
        try await withScheduler {
            $0.register(StepHandler { _, _ in throw PermanentError(reason: "deep") })
            $0.register(PlanHandler())
            $0.register(Middle())
            $0.register(Top(), onChildFailure: .tolerate)
        } _: { scheduler in
            let memo = try await scheduler.submit(Top.Work()).memo()
            #expect(memo.failures == 1)
            #expect(memo.note.contains("child failed") && memo.note.contains("deep"))
        }
    }

    private struct Middle: OrchestratorHandler {
        struct Work: DurableTask {
            static let type: TaskType = "test.middle"
            typealias Memo = NoMemo
        }
        func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
            try context.spawnChild(Plan(children: 1))
            return NoHandover()
        }
        func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> NoMemo {
            NoMemo()
        }
    }

    private struct Top: OrchestratorHandler {
        struct Work: DurableTask {
            static let type: TaskType = "test.top"
            typealias Memo = Plan.Memo
        }
        func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
            try context.spawnChild(Middle.Work())
            return NoHandover()
        }
        func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> Plan.Memo {
            let summary = try await context.failureSummary()
            return Plan.Memo(failures: summary.total, note: summary.description)
        }
    }

    @Test(
        "A memo that cannot be encoded fails its task for good, whatever the retry policy (T13)",
        arguments: ["unencodable", "huge"])
    func unencodableMemo(mode: String) async throws {
        try await withScheduler {
            $0.register(FragileHandler(), retry: .constant(.zero, attempts: 10))
        } _: { scheduler in
            let task = Fragile(mode: try #require(Fragile.Mode(rawValue: mode)))
            let error = await #expect(throws: TaskFailedError.self) { try await scheduler.submit(task).memo() }
            #expect(error?.kind == .failed)
            #expect(error?.failure.reason == (mode == "huge" ? "memo too large" : "memo cannot be encoded"))
        }
    }

    @Test("A memo that cannot be decoded is one error item, and the stream goes on (T13)")
    func undecodableMemo() async throws {
        let items = Mutex<[String]>([])
        let stream = Mutex<[String]>([])
        try await withScheduler {
            $0.register(FragileHandler())
            $0.register(StepHandler())
            $0.register(
                PlanHandler(
                    onExecute: { _, context in
                        for mode in [Fragile.Mode.fine, .undecodable, .fine, .undecodable] {
                            try context.spawnChild(Fragile(mode: mode))
                        }
                    },
                    onFinalize: { context in
                        for try await child in context.children(of: Fragile.self) {
                            switch child.result {
                            case .success: items.withLock { $0.append("fine") }
                            case .failure(.undecodable(let error)):
                                #expect(error.child == child.id && error.type == "test.fragile")
                                items.withLock { $0.append("undecodable") }
                            case .failure(.ended): items.withLock { $0.append("ended") }
                            }
                        }
                        var iterator = context.childMemos(of: Fragile.self).makeAsyncIterator()
                        while true {
                            do {
                                guard try await iterator.next() != nil else { break }
                                stream.withLock { $0.append("fine") }
                            } catch is MemoDecodingError { stream.withLock { $0.append("undecodable") } }
                        }
                    }))
        } _: { scheduler in
            _ = try await scheduler.submit(Plan(children: 0)).memo()
            #expect(items.withLock { $0 }.sorted() == ["fine", "fine", "undecodable", "undecodable"])
            #expect(stream.withLock { $0 }.sorted() == items.withLock { $0 }.sorted())
        }
    }

    @Test("A failing task is tried as often as the policy says, then dead-lettered (T15)")
    func deadLetter() async throws {
        let journal = Journal()
        try await withScheduler {
            $0.register(
                StepHandler { step, context in
                    journal.note("attempt \(context.attempt)")
                    throw Trouble("again")
                }, retry: .constant(.milliseconds(1), attempts: 3))
        } _: { scheduler in
            let outcome = try await scheduler.submit(Step(number: 1)).outcome()
            #expect(outcome.kind == .deadLettered && outcome.attempts == 3)
            #expect(journal.all == ["attempt 1": 1, "attempt 2": 1, "attempt 3": 1])
        }
    }

    @Test("A retry waits until its time has come, by the scheduler's clock (T15, T17)")
    func retryDelay() async throws {
        let journal = Journal()
        let clock = ManualClock()
        try await withScheduler(clock: clock) {
            $0.register(
                StepHandler { step, context in
                    journal.note("attempt")
                    if context.attempt == 1 { throw Trouble("later") }
                    return 9
                }, retry: .constant(.seconds(60), attempts: 2))
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 1))
            await clock.waitForSleepers(1)
            #expect(clock.nextDeadline == Timestamp(milliseconds: 60_000))
            clock.advance(by: 59_999)
            #expect(scheduler.statistics.delayed == 1 && journal.count("attempt") == 1)
            clock.advance(by: 1)
            let answer = try await handle.memo()
            #expect(answer.value == 9)
        }
    }

    @Test("A permanent error skips the retries (T15)")
    func permanent() async throws {
        try await withScheduler {
            $0.register(
                StepHandler { _, _ in throw PermanentError(reason: "gone", detail: "x") },
                retry: .constant(.zero, attempts: 9))
        } _: { scheduler in
            let outcome = try await scheduler.submit(Step(number: 1)).outcome()
            #expect(outcome.kind == .failed && outcome.attempts == 1)
        }
    }

    @Test("A retry of finalize repeats finalize alone, with the same children (T4)")
    func finalizeRetry() async throws {
        let journal = Journal()
        let sequences = Mutex<[[TaskID]]>([])
        try await withScheduler {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(
                    onExecute: { plan, context in
                        journal.note("execute")
                        for number in 0..<plan.children { try context.spawnChild(Step(number: number)) }
                    },
                    onFinalize: { context in
                        journal.note("finalize")
                        var ids: [TaskID] = []
                        for try await child in context.children(of: Step.self) { ids.append(child.id) }
                        let seen = ids
                        sequences.withLock { $0.append(seen) }
                        if context.attempt < 3 { throw Trouble("not yet") }
                    }), retry: .constant(.milliseconds(1), attempts: 5))
        } _: { scheduler in
            let memo = try await scheduler.submit(Plan(children: 100)).memo()
            #expect(memo.completed == 100)
            #expect(journal.all == ["execute": 1, "finalize": 3])
            let seen = sequences.withLock { $0 }
            #expect(seen.count == 3 && seen[0].count == 100 && seen[1] == seen[0] && seen[2] == seen[0])
        }
    }

    @Test("A payload that cannot be decoded fails its task")
    func undecodablePayload() async throws {
        let files = SimulatedFileSystem()
        struct Other: DurableTask {
            static let type: TaskType = "test.step"
            var text = "not a step"
            typealias Memo = NoMemo
        }
        struct OtherHandler: TaskHandler {
            func execute(_ task: Other, in context: TaskContext) async throws -> NoMemo { NoMemo() }
        }
        let before = try await idleScheduler(files) { $0.register(OtherHandler()) }
        let id = try await before.submit(Other()).id
        try await before.close()
        try await withScheduler(files) {
            $0.register(StepHandler())
        } _: { scheduler in
            let outcome = try await scheduler.handle(for: id, of: Step.self).outcome()
            guard case .failure(.ended(.failed, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
            #expect(failure.reason == "payload cannot be decoded")
        }
    }
}
