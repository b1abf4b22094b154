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
