// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Parallel reduce (issue B4)")
struct ReduceTests {
    private struct Stopped: Error, Equatable { var at: UInt64 }

    /// A parent whose children, in small blocks, left their ids.
    private static func store(children: Int) async throws -> (store: MemoStore, root: TaskID, ids: [UInt64]) {
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 2 << 10
        let store = try await MemoStore.labelled(
            at: "/store", configuration: configuration, fileSystem: SimulatedFileSystem())
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        if children == 0 { return (store, root, []) }
        let ids = Array(try await store.append(.spawning(children, under: root.rawValue)).spawned[0])
        for start in stride(from: 0, to: children, by: 50) {
            try await store.append(.ending(ids[start..<min(start + 50, children)], under: root.rawValue))
        }
        return (store, root, ids)
    }

    @Sendable private static func gather(_ ids: inout [UInt64], _ block: borrowing ChildBlock) {
        for index in 0..<block.count { ids.append(block.id(at: index).rawValue) }
    }

    @Test("Every child is folded once, in order, with any number of threads, in both forms")
    func order() async throws {
        let (store, root, ids) = try await Self.store(children: 3000)
        let children = try store.children(of: root)
        #expect(children.extents.count > 20)
        for threads in [nil, 1, 2, 3, 7, 16, .max] {
            let found = try await children.reduce(
                into: [], columns: .facts, threads: threads, Self.gather, combine: { $0 += $1 })
            #expect(found == ids)
            let backwards = try await ThreadPool.blocking.run { () -> Result<[UInt64], any Error> in
                Result {
                    try children.reversed().reduceBlocking(
                        into: [], columns: .facts, threads: threads, Self.gather, combine: { $0 += $1 })
                }
            }.get()
            #expect(backwards == ids.reversed())
        }
        try await store.close()
    }

    @Test("Nothing gives the initial value")
    func empty() async throws {
        let (store, root, _) = try await Self.store(children: 0)
        let children = try store.children(of: root)
        #expect(children.isEmpty && children.count == 0)
        #expect(try await children.reduce(into: 7, { _, _ in }, combine: { $0 += $1 }) == 7)
        try await store.close()
    }

    @Test("The error of the first part is thrown, and the other threads stop")
    func failure() async throws {
        let (store, root, ids) = try await Self.store(children: 3000)
        let children = try store.children(of: root)
        for bad in [ids[0], ids[1500], ids[2999]] {
            await #expect(throws: Stopped(at: bad)) {
                _ = try await children.reduce(into: 0, columns: .facts, threads: 3) { _, block in
                    for index in 0..<block.count where block.id(at: index).rawValue == bad {
                        throw Stopped(at: bad)
                    }
                } combine: { _, _ in
                }
            }
        }
        try await store.close()
    }

    @Test("A cancelled caller stops the threads")
    func cancellation() async throws {
        let (store, root, _) = try await Self.store(children: 3000)
        let children = try store.children(of: root)
        let blocks = MutexBox(0)
        let door = Monitor(false)
        let task = Task {
            try await children.reduce(into: 0, columns: [], threads: 2) { _, _ in
                blocks.change { $0 += 1 }
                door.wait { isOpen, _ in isOpen ? () : nil }
            } combine: { _, _ in
            }
        }
        while blocks.value == 0 { await Task.yield() }
        task.cancel()
        door.withLockWakingAll { $0 = true }
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        // Each thread ended the block that it was in.
        #expect(blocks.value <= 2)
        try await store.close()
    }

    @Test(
        "While bodies take long, on all threads, other calls go on, a body calls the store, a cancelled one returns",
        .timeLimit(.minutes(20)))
    func longBodies() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let other = try await store.append(.spawning(2)).spawned[0]
        try await store.append(.ending(other, under: 0))
        for _ in 0..<300 {
            let children = try await store.append(.spawning(2, under: root.rawValue)).spawned[0]
            try await store.append(.ending(children, under: root.rawValue))
        }
        let children = try store.children(of: root)
        #expect(children.extents.count >= 256)
        let door = Monitor(false)
        let (entries, entered) = AsyncStream.makeStream(of: Void.self)
        let long = (0..<70).map { _ in
            Task {
                try await children.reduce(into: 0, columns: [], threads: 64) { sum, block in
                    entered.yield()
                    door.wait { isOpen, _ in isOpen ? () : nil }
                    sum += block.count
                } combine: {
                    $0 += $1
                }
            }
        }
        // All threads for bodies are taken.
        var all = 0
        for await _ in entries {
            all += 1
            if all == 128 { break }
        }
        try await store.dropTree(TaskID(other.lowerBound))
        let second = try await MemoStore.open(at: "/second", fileSystem: files)
        try await second.close()
        let cancelled = Task { try await children.reduce(into: 0, { _, _ in }, combine: { $0 += $1 }) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
        door.withLockWakingAll { $0 = true }
        for task in long { #expect(try await task.value == 600) }
        // From within a body: the blocking calls, a reduction among them.
        let sum = try await children.reduce(into: 0, columns: [], threads: 64) { sum, block in
            if block.lastSequence == children.extents.last!.firstSequence + 1 {
                try store.dropTreeBlocking(TaskID(other.lowerBound + 1))
            }
            guard block.lastSequence % 50 == 0 else { return }
            sum += try children.reduceBlocking(into: 0, columns: []) {
                $0 += $1.count
            } combine: {
                $0 += $1
            }
        } combine: {
            $0 += $1
        }
        #expect(sum > 0 && sum % 600 == 0)
        #expect(store.totals.endedRoots == 0)
        try await store.close()
    }

    @Test("Damage is reported as by a walk")
    func damage() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 2 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let ids = Array(try await store.append(.spawning(1000, under: root.rawValue)).spawned[0])
        for start in stride(from: 0, to: 1000, by: 50) {
            try await store.append(.ending(ids[start..<(start + 50)], under: root.rawValue))
        }
        let children = try store.children(of: root)
        guard case .file(let file) = children.extents[3].place else {
            Issue.record("no block in a file")
            return
        }
        try files.flipBit(in: file.path, atByte: children.extents[3].offset + 70, bit: 3)
        let error = await #expect(throws: StoreError.self) {
            _ = try await children.reduce(into: 0, { _, _ in }, combine: { $0 += $1 })
        }
        #expect(error?.code == .damaged && error?.offset == children.extents[3].offset)
        try await store.close()
    }
}
