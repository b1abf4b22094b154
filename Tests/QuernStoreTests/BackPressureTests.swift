// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Holds the store's writer thread in a completion until it is let go.
private final class WriterHold: Sendable {
    private let door = Monitor(false)

    /// Returns when the writer is held.
    init(_ store: MemoStore) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            store.enqueue(Transaction()) { [door] _ in
                continuation.resume()
                door.wait { isOpen, _ in isOpen ? () : nil }
            }
        }
    }

    func release() { door.withLockWakingAll { $0 = true } }
}

@Suite("Back-pressure and blocking calls (issue B1)")
struct BackPressureTests {
    private static let limit = 10_000

    private static func open(_ limit: Int = limit) async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        configuration.queueBytes = limit
        return try await MemoStore.labelled(
            at: "/store", configuration: configuration, fileSystem: SimulatedFileSystem())
    }

    /// A transaction that spawns one task with a payload of this size.
    private static func spawn(_ bytes: Int) -> Transaction {
        var transaction = Transaction()
        transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) {
            $0.append(zeros: bytes)
        }
        return transaction
    }

    private static func outside(_ store: MemoStore) -> Int { store.shared.queue.update { queue, _ in queue.waiting } }

    @Test("While the writer is busy, callers add no more than the bound; then all are committed, in their order")
    func bounded() async throws {
        let store = try await Self.open()
        let hold = await WriterHold(store)
        var callers: [Task<Commit, any Error>] = []
        for number in 0..<50 {
            callers.append(Task { try await store.append(Self.spawn(1000)) })
            // One after the other, so that the order is known.
            while Self.outside(store) + store.pendingBytes / Self.spawn(1000).heldBytes <= number { await Task.yield() }
        }
        #expect(store.pendingBytes <= Self.limit && store.pendingBytes > Self.limit / 2)
        #expect(Self.outside(store) > 30)
        hold.release()
        var ids: [UInt64] = []
        for caller in callers { ids.append(try await caller.value.spawned[0].lowerBound) }
        #expect(ids == Array(1...50))
        #expect(store.pendingBytes == 0 && Self.outside(store) == 0)
        try await store.close()
    }

    @Test("A transaction above the bound passes alone, and enqueue passes always")
    func large() async throws {
        let store = try await Self.open()
        try await store.append(Self.spawn(100_000))
        let hold = await WriterHold(store)
        for _ in 0..<30 { store.enqueue(Self.spawn(1000)) }
        #expect(store.pendingBytes > 30_000)
        let last = Task { try await store.append(Self.spawn(100_000)) }
        while Self.outside(store) == 0 { await Task.yield() }
        hold.release()
        #expect(try await last.value.spawned == [32..<33])
        try await store.close()
    }

    @Test("A caller that is cancelled while it waits for room is not committed; those behind it are")
    func cancellation() async throws {
        let store = try await Self.open()
        let hold = await WriterHold(store)
        let inside = Task { try await store.append(Self.spawn(Self.limit)) }
        while store.pendingBytes == 0 { await Task.yield() }
        let cancelled = Task { try await store.append(Self.spawn(500)) }
        while Self.outside(store) < 1 { await Task.yield() }
        let behind = Task { try await store.append(Self.spawn(600)) }
        while Self.outside(store) < 2 { await Task.yield() }
        cancelled.cancel()
        // It hears of it while the writer is still busy.
        let error = await #expect(throws: StoreError.self) { _ = try await cancelled.value }
        #expect(error?.code == .cancelled)
        // One that was cancelled before it came is not taken either.
        let never = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await store.append(Self.spawn(500))
        }
        never.cancel()
        await #expect(throws: StoreError.self) { _ = try await never.value }
        // One that has joined the queue is committed all the same.
        inside.cancel()
        hold.release()
        #expect(try await inside.value.spawned == [1..<2])
        #expect(try await behind.value.spawned == [2..<3])
        #expect(store.totals.live == 2)
        try await store.close()
    }

    @Test("Closing commits those who wait for room")
    func closing() async throws {
        let store = try await Self.open()
        let hold = await WriterHold(store)
        let callers = (0..<30).map { _ in Task { try await store.append(Self.spawn(1000)) } }
        while Self.outside(store) < 15 { await Task.yield() }
        let close = Task { try await store.close() }
        hold.release()
        try await close.value
        for caller in callers {
            // Those who came after the close are told so.
            if case .failure(let error) = await caller.result { #expect((error as? StoreError)?.code == .closed) }
        }
        #expect(await store.failure(of: Self.spawn(1))?.code == .closed)
    }

    @Test("Many callers of all kinds through a narrow queue, some cancelled: each is committed once or told why not")
    func stress() async throws {
        let store = try await Self.open(4000)
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let committed = MutexBox<[UInt64]>([])
        let cancelled = MutexBox(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<32 {
                group.addTask {
                    for number in 0..<150 {
                        let call = Task {
                            try await store.append(.spawning(1 + (caller + number) % 7, under: root.rawValue))
                        }
                        if number % 5 == caller % 5 { call.cancel() }
                        do {
                            let ids = try await call.value.spawned.flatMap(Array.init)
                            committed.change { $0 += ids }
                        } catch let error as StoreError where error.code == .cancelled {
                            cancelled.change { $0 += 1 }
                        }
                    }
                }
            }
            for _ in 0..<4 {
                group.addTask {
                    try await ThreadPool.blocking.run { () throws(StoreError) in
                        for number in 0..<300 {
                            let commit = try store.appendBlocking(.spawning(1 + number % 5, under: root.rawValue))
                            committed.change { $0 += commit.spawned.flatMap(Array.init) }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let ids = committed.value.sorted()
        #expect(ids == Array((root.rawValue + 1)..<(root.rawValue + 1 + UInt64(ids.count))))
        #expect(store.totals.live == ids.count + 1)
        #expect(store.pendingBytes == 0)
        try await store.close()
    }

    @Test("The blocking calls do what the asynchronous ones do")
    func blocking() async throws {
        let files = SimulatedFileSystem()
        try await ThreadPool.blocking.run { () throws(StoreError) in
            let store = try MemoStore.labelledBlocking(at: "/store", fileSystem: files)
            let label = try store.labelBlocking(for: "a")
            #expect(store.name(of: label) == "a")
            #expect(try store.labelBlocking(for: "a") == label)
            #expect(throws: StoreError.self) { try store.labelBlocking(for: "") }
            let commit = try store.appendBlocking(.spawning(3))
            #expect(commit.spawned == [1..<4])
            #expect(throws: StoreError.self) { try store.appendBlocking(.ending([9], under: 0)) }
            #expect(throws: StoreError.self) { _ = try MemoStore.labelledBlocking(at: "/store", fileSystem: files) }
            try store.closeBlocking()
            try store.closeBlocking()
            do throws(StoreError) {
                try store.appendBlocking(.spawning(1))
                Issue.record("a closed store took a transaction")
            } catch { #expect(error.code == .closed) }
        }
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(store.totals.live == 3 && store.recovery.wasClean)
        try await store.close()
    }

    @Test("A blocking caller waits for room in its turn")
    func blockingWaits() async throws {
        let store = try await Self.open()
        let hold = await WriterHold(store)
        store.enqueue(Self.spawn(Self.limit))
        let ids = MutexBox<[Int: UInt64]>([:])
        let threads = Task {
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    while Self.outside(store) < number { await Task.yield() }
                    group.addTask {
                        try? await ThreadPool.blocking.run {
                            let commit = try? store.appendBlocking(Self.spawn(9000))
                            ids.change { $0[number] = commit?.spawned[0].lowerBound }
                        }
                    }
                }
            }
        }
        while Self.outside(store) < 6 { await Task.yield() }
        hold.release()
        await threads.value
        #expect(ids.value == [0: 2, 1: 3, 2: 4, 3: 5, 4: 6, 5: 7])
        try await store.close()
    }
}
