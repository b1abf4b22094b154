// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Damage among the rows of root tasks stops neither retention nor drops (T12, F33)")
struct DamagedRootsTests {
    private static var configuration: MemoStore.Configuration {
        var configuration = MemoStore.Configuration.exactLog
        configuration.indexSegmentBytes = 4 << 10
        configuration.openBlockBytes = 1 << 10
        configuration.checkpointBytes = 4 << 10
        configuration.compactionBytesPerSecond = 1 << 40
        configuration.startThread = { $0() }
        return configuration
    }

    /// Root tasks that ended, 20 at a time.
    private static func grow(_ store: MemoStore, _ times: Int) async throws {
        for _ in 0..<times {
            let roots = try await store.append(.spawning(20)).spawned[0]
            try await store.append(.ending(roots, under: 0))
            await store.settle()
        }
    }

    private static func rows(_ snapshot: ChildSnapshot) throws -> [(id: UInt64, sequence: UInt64)] {
        var cursor = snapshot.makeCursor(columns: .facts)
        var block = ChildBlock()
        var rows: [(id: UInt64, sequence: UInt64)] = []
        while try cursor.next(into: &block) {
            for index in 0..<block.count { rows.append((block.id(at: index).rawValue, block.sequence(at: index))) }
        }
        return rows
    }

    /// A closed store with 2,000 ended root tasks, one block of them damaged: which rows are in it, and in what file.
    private static func damaged() async throws -> (files: SimulatedFileSystem, path: FilePath, rows: [UInt64]) {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        try await grow(store, 100)
        let roots = try store.children(of: .none)
        let extent = try #require(roots.extents.dropFirst().first)
        guard case .file(let file) = extent.place else { throw StoreError(.rejected, "no block in a file") }
        let rows = try rows(roots.block(holding: extent.firstSequence)).map(\.id)
        try await store.close()
        try files.flipBit(in: file.path, atByte: extent.offset + FrameHeader.size + 20, bit: 3)
        return (files, file.path, rows)
    }

    @Test("Retention passes over a damaged block, tells of it, and keeps to its bound with the rest")
    func retains() async throws {
        let (files, path, damagedRows) = try await Self.damaged()
        var configuration = Self.configuration
        configuration.retention = .init(RetentionPolicy(count: 100)) { Timestamp(milliseconds: 0) }
        let store = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: files)
        try await Self.grow(store, 100)
        await store.rest()
        // What came since the last checkpoint is not looked at yet.
        #expect(store.totals.endedRoots < 1000)
        let sizes = try store.sizes()
        #expect(sizes.damage.map(\.file) == [path])
        let report = try await store.applyRetention(
            RetentionPolicy(count: 100), now: Timestamp(milliseconds: 0))
        #expect(report.trees > 0)
        #expect(store.totals.endedRoots == UInt64(100 + damagedRows.count))
        try await store.close()
    }

    @Test("What cannot be read counts for no bound: the newest that can are kept", arguments: [true, false])
    func countsWhatCanBeRead(inBytes: Bool) async throws {
        let (files, _, damagedRows) = try await Self.damaged()
        let store = try await MemoStore.open(at: "/store", configuration: Self.configuration, fileSystem: files)
        // Fewer than there are damaged.
        let bound = damagedRows.count / 2
        let policy = inBytes ? RetentionPolicy(bytes: 1 << 30) : RetentionPolicy(count: bound)
        let report = try await store.applyRetention(policy, now: Timestamp(milliseconds: 0))
        #expect(report.trees == (inBytes ? 0 : 2000 - damagedRows.count - bound))
        let newest = try Self.rows(store.children(of: .none).reversed().split(into: 100)[0]).map(\.id)
        #expect(newest.first == 2000)
        try await store.close()
    }

    @Test("A share of the bytes goes with the roots that are left out of account")
    func passesOver() {
        let now = Timestamp(milliseconds: 0)
        for (missed, drops) in [(0, 7), (4, 3), (7, 0), (10, 0), (99, 0)] {
            var byCount = RetentionPlan(RetentionPolicy(count: 3), now: now, count: 10, bytes: 0)
            var byBytes = RetentionPlan(RetentionPolicy(bytes: 300), now: now, count: 10, bytes: 1000)
            byCount.passOver(missed)
            byBytes.passOver(missed)
            let dropped = (0..<10).map { _ in
                (byCount.drops(endedAt: now, bytes: 0), byBytes.drops(endedAt: now, bytes: 100))
            }
            #expect(dropped.count { $0.0 } == drops && dropped.count { $0.1 } == drops, "\(missed)")
        }
    }

    @Test("A drop finds what is not in a damaged block, and says damaged for what may be", arguments: [true, false])
    func drops(byPosition: Bool) async throws {
        let (files, path, damagedRows) = try await Self.damaged()
        let configuration = Self.configuration
        let store = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: files)
        for root in UInt64(1)...2000 where root % 50 == 1 || damagedRows.contains(root) {
            // Roots were ended in the order of their ids.
            let position = byPosition ? root : nil
            do throws(StoreError) {
                try await store.dropTree(TaskID(root), endedAt: position)
                #expect(!damagedRows.contains(root))
            } catch {
                #expect(damagedRows.contains(root) && error.code == .damaged && error.file == path, "\(error)")
            }
        }
        #expect(try store.sizes().damage.map(\.file) == [path])
        if byPosition {
            // It lies in a block that can be read.
            do throws(StoreError) { try await store.dropTree(TaskID(99_999), endedAt: 2000) } catch {
                #expect(error.code == .rejected)
            }
        }
        try await store.close()
    }

    @Test("With a damaged directory trees are dropped whose rows are elsewhere", arguments: [true, false])
    func dropsBesideDirectory(byPosition: Bool) async throws {
        var forest = try await Forest(seed: 5)
        for _ in 0..<20 { try await forest.grow(children: 40) }
        try await forest.drop(forest.ended[3])
        try await forest.drop(forest.ended[12])
        let segments = forest.store.shared.committed.withLock { $0.index.sealed }
        let victim = try #require(segments.dropFirst(2).first)
        let path = victim.file.path
        var inVictim: Set<UInt64> = []
        for extent in try forest.store.children(of: .none).extents {
            guard case .file(let file) = extent.place, file.number == victim.file.number else { continue }
            let block = try forest.store.children(of: .none).block(holding: extent.firstSequence)
            inVictim.formUnion(try Self.rows(block).map(\.id))
        }
        try await forest.store.close()
        try forest.fileSystem.flipBit(in: path, atByte: victim.length - 20, bit: 3)
        try await forest.open()
        var dropped = 0
        for root in forest.ended {
            do throws(StoreError) {
                try await forest.store.dropTree(TaskID(root), endedAt: byPosition ? forest.sequences[root] : nil)
                forest.trees[root]?.isDropped = true
                dropped += 1
                #expect(!inVictim.contains(root))
            } catch { #expect(inVictim.contains(root) && error.code == .damaged && error.file == path, "\(error)") }
        }
        #expect(dropped == 20 - inVictim.count)
        let report = try await forest.store.applyRetention(
            RetentionPolicy(count: 0), now: Timestamp(milliseconds: 0))
        #expect(report == RetentionReport())
        #expect(try forest.store.sizes().damage.map(\.file) == [path])
        try await forest.store.close()
        try forest.fileSystem.flipBit(in: path, atByte: victim.length - 20, bit: 3)
        try await forest.open()
        try forest.check("repaired")
        try await forest.store.close()
    }
}
