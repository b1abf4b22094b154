// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What a live task keeps in its slots stays in the log and goes with its outcome (S5, S14).
@Suite struct SlotTests {
    let files = SimulatedFileSystem()

    static func keeping(_ task: UInt64, _ slot: UInt8, _ value: [UInt8]) -> Transaction {
        var transaction = Transaction()
        transaction.keep(TaskID(task), slot: slot, value)
        return transaction
    }

    static func kept(_ store: some StoreAnswers, _ task: UInt64) throws -> [[UInt8]?] {
        try [0, 1, 2, 255].map { try store.kept(TaskID(task), slot: $0) }
    }

    @Test("The last value of each slot stays, through a crash, a checkpoint and for a reader; slot 0 is the hand-over")
    func survive() async throws {
        var store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store.append(.spawning(3))
        for value in [[1], [2], []] as [[UInt8]] { try await store.append(Self.keeping(1, 1, value)) }
        try await store.append(Self.keeping(1, 255, [5]))
        try await store.append(Self.keeping(2, 0, [6]))
        var advance = Transaction()
        advance.advance(TaskID(1), to: 1, value: [7])
        advance.keep(TaskID(2), slot: 2, [8])
        try await store.append(advance)
        let reader = try await MemoReader.open(at: "/store", fileSystem: files)
        try await store.append(Self.keeping(1, 0, [9]))
        #expect(try Self.kept(reader, 1) == [[7], [], nil, [5]])
        #expect(try await reader.refresh())
        let expected: [[[UInt8]?]] = [[[9], [], nil, [5]], [[6], nil, [8], nil], [nil, nil, nil, nil]]
        func check(_ store: some StoreAnswers, _ place: String) throws {
            for task in 1...3 as ClosedRange<UInt64> {
                #expect(try Self.kept(store, task) == expected[Int(task) - 1], "task \(task), \(place)")
            }
        }
        try check(store, "the store")
        try check(reader, "a reader")
        #expect(try store.handover(of: TaskID(1)) == [9] && reader.handover(of: TaskID(2)) == [6])
        #expect(store.status(of: TaskID(1))?.phase == 1 && store.status(of: TaskID(2)) == nil)
        #expect(throws: StoreError.self) { try store.handover(of: TaskID(3)) }

        let crashed = files.crash(keeping: .dropAll)
        for round in 0..<2 {
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: crashed)
            try check(reopened, "opened \(round)")
            try await reopened.close()
        }
        // Through a checkpoint, then freed with the outcome.
        try await store.close()
        store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try check(store, "closed and opened")
        try await store.append(.ending([1, 2], under: 0))
        #expect(try Self.kept(store, 1) == [nil, nil, nil, nil])
        #expect(Array(store.committed.state.slots.all).isEmpty)
        #expect(store.committed.state.slots.holds(sameAs: SlotTable()))
        #expect(LogUse(store.committed.state).segments.values.reduce(0, +) == 5)
        try await store.close()
    }

    @Test("F5: what is too large, and what a task that is not live would keep, is refused")
    func refused() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store.append(.spawning(2))
        try await store.append(.ending([2], under: 0))
        for task in [2, 3] as [UInt64] {
            #expect(await store.failure(of: Self.keeping(task, 1, [1]))?.code == .rejected)
        }
        let large = [UInt8](repeating: 1, count: Limits.valueBytes + 1)
        #expect(await store.failure(of: Self.keeping(1, 1, large))?.code == .tooLarge)
        try await store.append(Self.keeping(1, 1, Array(large.dropLast())))
        #expect(try store.kept(TaskID(1), slot: 1)?.count == Limits.valueBytes)
        // Kept and ended in one batch.
        let results = await store.appendTogether([
            Self.keeping(1, 2, [1]), .ending([1], under: 0), Self.keeping(1, 3, [1]),
        ])
        #expect(results.map(\.code) == [nil, nil, .rejected])
        #expect(try store.kept(TaskID(1), slot: 2) == nil)
        try await store.close()
    }

    @Test("S15: what old segments hold for slots is written once more, and a newer value is not undone")
    func relocated() async throws {
        var configuration = MemoStore.Configuration.exactLog
        (configuration.logSegmentBytes, configuration.checkpointBytes) = (1 << 10, 2 << 10)
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        try await store.append(.spawning(2))
        for slot in 0...2 as ClosedRange<UInt8> { try await store.append(Self.keeping(1, slot, [slot, 7])) }
        let places = store.committed.state.slots
        for _ in 0..<60 {
            let ids = try await store.append(.spawning(20)).spawned[0]
            try await store.append(.ending(ids, under: 0))
        }
        await store.rest()
        let moved = store.committed.state.slots
        for slot in 0...2 as ClosedRange<UInt8> { #expect(moved[TaskID(1), slot] != places[TaskID(1), slot]) }
        let old = try #require(places[TaskID(1), 1])
        #expect(files.contents(Workload.directory.appending(StoreFiles.name(.log, UInt64(old.segment)))) == nil)
        // Read before, committed behind a newer value.
        var late = Self.keeping(1, 1, [3])
        late.relocateKept(by: TaskID(1), slot: 1, from: try #require(moved[TaskID(1), 1]), value: [1, 7])
        try await store.append(late)
        let crashed = files.crash(keeping: .dropAll)
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: crashed)
        for found in [store, reopened] { #expect(try Self.kept(found, 1) == [[0, 7], [3], [2, 7], nil]) }
        try await reopened.close()
        try await store.close()
    }
}
