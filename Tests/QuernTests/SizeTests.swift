// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

private struct Texts: DurableTask {
    static let type: TaskType = "test.texts"
    var text: [UInt8]
    var hasFailed = false
    struct Memo: CodableMemo { var text: [UInt8] = [] }
}

private struct TextHandler: TaskHandler {
    func execute(_ task: Texts, in context: TaskContext) async throws -> Texts.Memo {
        if task.hasFailed {
            let text = String(decoding: task.text, as: UTF8.self)
            throw PermanentError(reason: text, detail: text)
        }
        return Texts.Memo(text: task.text + task.text)
    }
}

private struct Chain: DurableTask {
    static let type: TaskType = "test.chain"
    var depth: Int
    typealias Memo = Step.Memo
}

private struct ChainHandler: OrchestratorHandler {
    func execute(_ task: Chain, in context: TaskContext) async throws -> NoHandover {
        if task.depth > 0 { try context.spawnChild(Chain(depth: task.depth - 1)) }
        return NoHandover()
    }

    func finalize(_ task: Chain, handover: NoHandover, in context: FinalizeContext) async throws -> Step.Memo {
        Step.Memo(value: try context.reduceMemos(of: Chain.self, into: 1) { $0 += $1.value })
    }
}

extension ChildOutcome {
    fileprivate var failure: FailureInfo? {
        if case .failure(.ended(.failed, let failure)) = result { failure } else { nil }
    }
}

/// The largest of everything, at its border and beyond: the table in RELIABILITY.md.
@Suite("Sizes at their limits (T13)", .timeLimit(.minutes(20)))
struct SizeTests {
    @Test("A payload above its limit is refused by name, and nothing else is")
    func payloads() async throws {
        let test = try await TestScheduler { $0.register(TextHandler()) }
        let large = Texts(text: [UInt8](repeating: 1, count: Limits.valueBytes))
        let error = await #expect(throws: SchedulerError.self) { try await test.scheduler.submit(large) }
        #expect(error?.code == .payloadTooLarge)
        #expect(error?.description.contains("\(Limits.valueBytes)") == true, "\(error as Any)")
        let scheduled = Texts(text: [UInt8](repeating: 1, count: 48 << 10))
        let unscheduled = await #expect(throws: SchedulerError.self) {
            try await test.scheduler.schedule("large", scheduled, .every(.seconds(60)))
        }
        #expect(unscheduled?.code == .payloadTooLarge)
        // Half of it fits, and its memo, which is twice that, does not: the task fails, and says why.
        let half = try await test.scheduler.submit(Texts(text: [UInt8](repeating: 1, count: Limits.valueBytes / 2)))
        let small = try await test.scheduler.submit(Texts(text: [1, 2]))
        await test.runUntilIdle()
        let failure = try await half.outcome().failure
        #expect(failure?.description.contains("\(Limits.valueBytes)") == true, "\(failure as Any)")
        #expect(try await small.memo().text == [1, 2, 1, 2])
        try await test.stop()
    }

    @Test("An error text of any length is kept up to its limit, cut at a character's border")
    func errorTexts() async throws {
        let test = try await TestScheduler { $0.register(TextHandler()) }
        let text = String(repeating: "\u{20AC}", count: 1 << 20)
        let handle = try await test.scheduler.submit(Texts(text: Array(text.utf8), hasFailed: true))
        await test.runUntilIdle()
        let ended = try await handle.outcome().failure
        let failure = try #require(ended)
        #expect(
            (FailureInfo.maximumReasonLength - 3...FailureInfo.maximumReasonLength).contains(failure.reason.utf8.count))
        #expect(
            (FailureInfo.maximumDetailLength - 3...FailureInfo.maximumDetailLength).contains(failure.detail.utf8.count))
        #expect(text.hasPrefix(failure.reason) && text.hasPrefix(failure.detail))
        try await test.stop()
    }

    @Test("A key may be of any length")
    func keys() async throws {
        let test = try await TestScheduler { $0.register(TextHandler()) }
        let key = String(repeating: "key ", count: 1 << 20)
        _ = try await test.scheduler.submit(
            Texts(text: [1]), options: TaskOptions(key: key, start: .after(.seconds(5))))
        let error = await #expect(throws: SchedulerError.self) {
            try await test.scheduler.submit(Texts(text: [2]), options: TaskOptions(key: key, onDuplicate: .reject))
        }
        #expect(error?.cause?.code == .duplicateKey)
        await test.runUntilIdle()
        try await test.stop()
    }

    @Test("What a task's options take has a limit, and above it an error")
    func options() async throws {
        let test = try await TestScheduler { $0.register(TextHandler()) }
        let tags = (0..<1000).map { "label \($0)" }
        let dependencies = (1...5000).map { TaskDependency(TaskID($0)) }
        for options in [TaskOptions(tags: tags), TaskOptions(dependencies: dependencies)] {
            let error = await #expect(throws: SchedulerError.self) {
                try await test.scheduler.submit(Texts(text: [1]), options: options)
            }
            #expect(error?.code == .invalidOptions, "\(error as Any)")
        }
        await test.runUntilIdle()
        try await test.stop()
    }

    @Test("A tree may be as deep as there is memory for", arguments: [2000])
    func depth(_ depth: Int) async throws {
        try await withScheduler {
            $0.register(ChainHandler())
        } _: { scheduler in
            let memo = try await scheduler.submit(Chain(depth: depth)).memo()
            #expect(memo.value == Int64(depth + 1))
        }
    }
}
