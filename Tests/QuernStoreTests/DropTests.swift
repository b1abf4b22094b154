// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Dropping trees and retention (T12, S11, S15)")
struct DropTests {
    private static func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do { try await body() } catch { return (error as? StoreError)?.code }
        return nil
    }

    @Test("A dropped tree is gone for later snapshots, whole in earlier ones, and stays gone after a crash")
    func dropsTrees() async throws {
        var forest = try await Forest(seed: 1)
        for _ in 0..<6 { try await forest.grow(children: 30) }
        let root = forest.ended[2]
        let before = try forest.store.children(of: TaskID(root))
        let rootsBefore = try forest.store.children(of: .none)
        try await forest.drop(root)
        try forest.check("dropped")
        #expect(try Forest.read(before).count == forest.trees[root]?.children[root]?.count)
        #expect(try Forest.read(rootsBefore).count == 6)
        try await forest.crash(.dropAll)
        try forest.check("crashed")
        try await forest.reopen()
        try forest.check("reopened")
    }

    @Test("A drop is one small record, however large the tree is")
    func dropIsSmall() async throws {
        var forest = try await Forest(seed: 2)
        try await forest.grow(children: 500)
        let before = forest.fileSystem.usedBytes
        try await forest.drop(forest.ended[0])
        #expect(forest.fileSystem.usedBytes - before < 200)
        try forest.check("dropped")
    }

    @Test("Only an ended root task can be dropped, and dropping it twice changes nothing")
    func refusesOthers() async throws {
        var forest = try await Forest(seed: 3)
        try await forest.grow(children: 10)
        let live = try await forest.plant(children: 5)
        let root = forest.ended[0]
        let child = try #require(forest.trees[root]?.children[root]?.first?.id)
        for task in [live, child, 999_999, 0] {
            #expect(await Self.code { try await forest.store.dropTree(TaskID(task)) } == .rejected, "\(task)")
        }
        try await forest.drop(root)
        try await forest.drop(root)
        try forest.check("dropped twice")
        try await forest.store.compact()
        #expect(await Self.code { try await forest.store.dropTree(TaskID(root)) } == .rejected)
        try forest.check("reclaimed")
    }

    @Test("A root is found by its commit position, and a wrong one drops nothing")
    func dropsBySequence() async throws {
        var forest = try await Forest(seed: 4)
        for _ in 0..<5 { try await forest.grow(children: 3) }
        let root = forest.ended[1]
        var cursor = try forest.store.children(of: .none).makeCursor()
        var block = ChildBlock()
        var sequence: UInt64 = 0
        while try cursor.next(into: &block) {
            for index in 0..<block.count where block.id(at: index).rawValue == root {
                sequence = block.sequence(at: index)
            }
        }
        let wrong = sequence + 1_000_000
        #expect(await Self.code { try await forest.store.dropTree(TaskID(root), endedAt: wrong) } == .rejected)
        try await forest.store.dropTree(TaskID(root), endedAt: sequence)
        forest.trees[root]?.isDropped = true
        try forest.check("dropped by position")
    }

    @Test("A view behind a position counts exactly, wherever the hidden rows are")
    func viewsBehindPositions() async throws {
        var forest = try await Forest(seed: 5)
        for _ in 0..<30 { try await forest.grow(children: 0) }
        var sequences: [UInt64: UInt64] = [:]
        var cursor = try forest.store.children(of: .none).makeCursor()
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count { sequences[block.id(at: index).rawValue] = block.sequence(at: index) }
        }
        for root in forest.ended.enumerated().filter({ $0.offset % 3 != 1 }).map(\.element) {
            try await forest.drop(root)
        }
        let roots = try forest.store.children(of: .none)
        for position in 0...(sequences.values.max() ?? 0) {
            let view = try roots.after(position)
            let expected = forest.shown.filter { sequences[$0]! > position }
            #expect(view.count == expected.count)
            let isRight = try Forest.read(view).map(\.id) == expected
            #expect(isRight, "behind \(position)")
        }
    }

    @Test("Retention drops whole trees, the one that ended first at first", arguments: [1, 2, 3] as [UInt64])
    func retains(seed: UInt64) async throws {
        var forest = try await Forest(seed: seed)
        try await forest.plant(children: 60)
        for _ in 0..<12 { try await forest.grow() }
        let now = Timestamp(milliseconds: forest.clock)
        let none = try await forest.store.applyRetention(RetentionPolicy(count: 12), now: now)
        #expect(none == RetentionReport())
        let report = try await forest.store.applyRetention(RetentionPolicy(count: 7), now: now)
        #expect(report.trees == 5)
        #expect(report.children == UInt64(forest.ended.prefix(5).reduce(5) { $0 + forest.trees[$1]!.count }))
        for root in forest.ended.prefix(5) { forest.trees[root]?.isDropped = true }
        try forest.check("by count, seed \(seed)")

        let bytes = try await forest.store.applyRetention(RetentionPolicy(bytes: 0), now: now)
        // Blocks in memory take no bytes yet: what is left takes none in a segment.
        #expect(bytes.trees <= 7)
        for root in forest.shown.prefix(bytes.trees) { forest.trees[root]?.isDropped = true }
        try forest.check("by bytes, seed \(seed)")
        let all = try await forest.store.applyRetention(
            RetentionPolicy(age: .milliseconds(100)), now: Timestamp(milliseconds: forest.clock + 1000))
        #expect(all.trees == 7 - bytes.trees)
        for root in forest.shown { forest.trees[root]?.isDropped = true }
        try forest.check("by age, seed \(seed)")
    }

    @Test("What is pinned stays, also when retention had found it before, until each pin is taken back")
    func pins() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        let ids = try await store.append(.spawning(3)).spawned[0].map { $0 }
        try await store.append(.ending(ids, under: 0))
        let roots = ids.map { TaskID(rawValue: $0) }
        let policy = RetentionPolicy(count: 0)
        let now = Timestamp(milliseconds: 1)
        let found = try RetentionWalk.transaction(policy, now: now, in: store.shared)
        #expect(found.notes.count == 3)
        store.pin(roots.prefix(2))
        store.pin(roots.prefix(1))
        #expect(await store.failure(of: found)?.code == .rejected)
        #expect(try store.shared.withoutPinned(found).notes.count == 1)
        #expect(try await store.applyRetention(policy, now: now).trees == 1)
        store.unpin(roots)
        #expect(try await store.applyRetention(policy, now: now).trees == 1)
        #expect(try store.children(of: .none).count == 1)
        store.unpin(roots)
        #expect(try await store.applyRetention(policy, now: now).trees == 1)
        try await store.close()
    }

    @Test("A tree is pinned by a task in it, whichever of its parents have ended, and also when retention had found it")
    func pinsByTask() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let parent = try await store.append(.spawning(1, under: root)).spawned[0].lowerBound
        let child = try await store.append(.spawning(1, under: parent)).spawned[0].lowerBound
        let pair = (task: TaskID(child), parent: TaskID(parent))
        let early = store.pinTrees(of: [pair])
        #expect(early == [.root(TaskID(root))])
        try await store.append(.ending([child], under: parent))
        try await store.append(.ending([parent], under: root))
        try await store.append(.ending([root], under: 0))
        let policy = RetentionPolicy(count: 0)
        let now = Timestamp(milliseconds: 1)
        #expect(try await store.applyRetention(policy, now: now).trees == 0)
        store.unpin(early)
        let found = try RetentionWalk.transaction(policy, now: now, in: store.shared)
        #expect(found.notes.count == 1)
        let late = store.pinTrees(of: [pair, pair])
        #expect(late == [.endedParent(TaskID(parent)), .endedParent(TaskID(parent))])
        #expect(await store.failure(of: found)?.code == .rejected)
        #expect(try store.shared.withoutPinned(found).isEmpty)
        store.unpin(late.prefix(1))
        #expect(try await store.applyRetention(policy, now: now).trees == 0)
        try await store.compact()
        #expect(try await store.applyRetention(policy, now: now).trees == 0)
        store.unpin(late.suffix(1))
        #expect(try await store.applyRetention(policy, now: now).trees == 1)
        try await store.close()
    }

    @Test("The end of the last task of a run that has attributes is told, and of no other run")
    func endedRuns() async throws {
        final class Observer: CommitObserver {
            let ended = Mutex<[TaskID]>([])
            func storeDidCommit(_ changes: CommitChanges) { ended.withLock { $0 += changes.endedRuns } }
            func storeDidFail(_ error: StoreError) {}
        }
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        let observer = Observer()
        #expect(store.setFirstObserver(observer))
        let plain = try await store.append(.spawning(2)).spawned[0].map { $0 }
        var transaction = Transaction()
        for _ in 0..<2 {
            transaction.spawn(under: .none, label: Label(rawValue: 1), attributes: [7], at: Timestamp(milliseconds: 0))
            { _ in }
        }
        let run = try await store.append(transaction).spawned[0].map { $0 }
        try await store.append(.ending(plain + run.prefix(1), under: 0))
        #expect(observer.ended.withLock { $0.isEmpty })
        try await store.append(.ending(run.suffix(1), under: 0))
        #expect(observer.ended.withLock { $0 } == [TaskID(run[0])])
        try await store.close()
    }

    @Test("A store with a policy keeps to it by itself after each checkpoint")
    func retainsByItself() async throws {
        var forest = try await Forest(seed: 6)
        forest.configuration.retention = .init(RetentionPolicy(count: 3)) { Timestamp(milliseconds: 0) }
        forest.configuration.compactionBytesPerSecond = 1 << 40
        try await forest.reopen()
        for _ in 0..<30 { try await forest.grow() }
        await forest.store.settle()
        let roots = try Forest.read(forest.store.children(of: .none)).map(\.id)
        #expect(roots.count < 15)
        #expect(roots == forest.ended.suffix(roots.count))
        #expect(try forest.store.sizes().index.bytes < 40 << 10)
    }
}
