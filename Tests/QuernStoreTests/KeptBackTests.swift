// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A transaction that found no space is committed behind what came after it.
@Suite("Attempts that were kept back (S4, T15)")
struct KeptBackTests {
    private static let slot: UInt8 = 5
    /// What belongs to no attempt.
    private static let other: UInt8 = 6

    /// What comes between the two tries to commit the first attempt of a task.
    enum Between: CaseIterable {
        case nothing, attempt, advance, end

        func transaction(_ task: UInt64) -> Transaction {
            var transaction = Transaction()
            switch self {
            case .nothing: break
            case .attempt: KeptBackTests.note(2, of: task, in: &transaction)
            case .advance: transaction.advance(TaskID(task), to: 1, value: [1])
            case .end: transaction = .ending([task], under: 0)
            }
            return transaction
        }
    }

    /// What the first transaction has beside the attempt, and whether it is in one batch with what came between.
    enum Beside {
        case nothingTogether, nothing, endTogether, end

        var hasEnd: Bool { self == .endTogether || self == .end }
        var isTogether: Bool { self == .nothingTogether || self == .endTogether }
    }

    fileprivate static func note(_ attempt: UInt32, of task: UInt64, in transaction: inout Transaction) {
        transaction.noteAttempt(
            TaskID(task), attempts: attempt, notBefore: Timestamp(milliseconds: Int64(attempt)), error: [])
        transaction.keep(TaskID(task), slot: slot, [UInt8(attempt)])
        transaction.keep(TaskID(task), slot: other, [UInt8(attempt) + 10])
    }

    @Test(
        "Of two that were kept back the later attempt counts, in whichever order they come; also of finalize",
        arguments: [true, false], [0, 1] as [UInt8])
    func both(inOrder: Bool, phase: UInt8) async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        let task = try await store.append(.spawning(1)).spawned[0].lowerBound
        if phase > 0 {
            var advance = Transaction()
            advance.advance(TaskID(task), to: phase, value: [])
            try await store.append(advance)
        }
        var transactions = [Transaction(), Transaction()]
        for attempt in 0...1 {
            Self.note(UInt32(attempt + 1), of: task, in: &transactions[attempt])
            transactions[attempt].keepBack(errorSlot: Self.slot, in: store)
        }
        if !inOrder { transactions.reverse() }
        #expect(await store.appendTogether(transactions).map(\.code) == [nil, nil])
        #expect(store.detail(of: TaskID(task))?.attempts == 2)
        #expect(store.detail(of: TaskID(task))?.phase == phase)
        #expect(try store.kept(TaskID(task), slot: Self.slot) == [2])
        try await store.close()
    }

    @Test(
        "Of a task that was tried again, went on or ended meanwhile it says nothing any more, and all else",
        arguments: Between.allCases, [Beside.nothingTogether, .nothing, .endTogether, .end])
    func overtaken(_ between: Between, beside: Beside) async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        let tasks = try await store.append(.spawning(2)).spawned.flatMap { Array($0) }
        var first = beside.hasEnd ? Transaction.ending([tasks[1]], under: 0) : Transaction()
        Self.note(1, of: tasks[0], in: &first)
        first.keepBack(errorSlot: Self.slot, in: store)
        let transactions = [between.transaction(tasks[0]), first]
        if beside.isTogether {
            #expect(await store.appendTogether(transactions).map(\.code) == [nil, nil])
        } else {
            for transaction in transactions { _ = try await store.append(transaction) }
        }
        #expect(store.isLive(TaskID(tasks[1])) != beside.hasEnd)
        let detail = store.detail(of: TaskID(tasks[0]))
        let kept = try store.kept(TaskID(tasks[0]), slot: Self.slot)
        switch between {
        case .nothing: #expect(detail?.attempts == 1 && kept == [1])
        case .attempt: #expect(detail?.attempts == 2 && detail?.notBefore.rawValue == 2 && kept == [2])
        case .advance: #expect(detail?.attempts == 0 && detail?.phase == 1 && kept == nil)
        case .end: #expect(!store.isLive(TaskID(tasks[0])))
        }
        if between != .end { #expect(try store.kept(TaskID(tasks[0]), slot: Self.other) == [11]) }
        try await store.close()
    }
}
