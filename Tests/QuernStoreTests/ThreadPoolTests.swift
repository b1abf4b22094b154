// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Threads for what blocks: few of them, and none when the system has none (S2).
@Suite struct ThreadPoolTests {
    private static let refusal = StoreError(.noThread, "none")

    @Test("However many calls block, no more threads than the limit are made, and each call ends")
    func bounded() async throws {
        let started = MutexBox(0)
        let pool = ThreadPool(limit: 3) { (body) throws(StoreError) in
            started.change { $0 += 1 }
            try SystemThread.start(body)
        }
        let running = MutexBox((now: 0, most: 0))
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<5000 {
                group.addTask {
                    try await pool.run { () throws(StoreError) in
                        running.change { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                        defer { running.change { $0.now -= 1 } }
                        return number
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 5000 * 4999 / 2)
        #expect(running.value.most <= 3 && started.value <= 3)
    }

    @Test("Jobs are begun in the order in which they came")
    func order() async throws {
        let pool = ThreadPool(limit: 1)
        let order = MutexBox<[Int]>([])
        for number in 0..<1000 { try pool.submit { order.change { $0.append(number) } } }
        try await pool.run {}
        #expect(order.value == Array(0..<1000))
    }

    @Test("Without any thread a call fails and is not run; with one that there is, it waits for that one")
    func noThread() async throws {
        let allowed = MutexBox(0)
        let pool = ThreadPool(limit: 8) { (body) throws(StoreError) in
            var isAllowed = false
            allowed.change {
                isAllowed = $0 > 0
                $0 -= 1
            }
            guard isAllowed else { throw Self.refusal }
            try SystemThread.start(body)
        }
        let runs = MutexBox(0)
        await #expect(throws: Self.refusal) { try await pool.run { runs.change { $0 += 1 } } }
        #expect(runs.value == 0)
        allowed.change { $0 = 1 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 { group.addTask { try await pool.run { runs.change { $0 += 1 } } } }
            try await group.waitForAll()
        }
        #expect(runs.value == 200)
    }

    @Test("S4: a store that gets no thread for a checkpoint goes on without, and closes in order")
    func noCheckpoint() async throws {
        let files = SimulatedFileSystem()
        let isRefused = MutexBox(true)
        var configuration = ReaderScript.configuration
        configuration.compactionBytesPerSecond = 1 << 30
        configuration.startThread = { (body) throws(StoreError) in
            if isRefused.value { throw Self.refusal }
            body()
        }
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<40 { try await store.append(.spawning(10)) }
        #expect(try files.list("/store").filter { $0.hasPrefix("checkpoint") } == ["checkpoint-0000000001"])
        do throws(StoreError) {
            try await store.compact()
            Issue.record("compacted without a thread")
        } catch { #expect(error == Self.refusal) }
        isRefused.change { $0 = false }
        for _ in 0..<10 { try await store.append(.spawning(10)) }
        await store.settle()
        #expect(try files.list("/store").filter { $0.hasPrefix("checkpoint") } != ["checkpoint-0000000001"])
        try await store.compact()
        let facts = try StoreFacts(store)
        isRefused.change { $0 = true }
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(reopened.recovery.wasClean)
        expectSame(try StoreFacts(reopened), facts, "reopened")
        try await reopened.close()
    }

    @Test("More drops at a time than there are threads all get their answer")
    func drops() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        let roots = try await store.append(.spawning(400)).spawned[0]
        try await store.append(.ending(roots, under: 0))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for root in roots { group.addTask { try await store.dropTree(TaskID(root)) } }
            try await group.waitForAll()
        }
        #expect(store.totals.endedRoots == 0)
        try await store.close()
    }
}
