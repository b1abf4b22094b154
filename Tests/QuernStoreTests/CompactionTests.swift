// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Compaction (S15, F33)")
struct CompactionTests {
    @Test("Random trees, drops, compactions, reopenings and crashes leave what a dictionary says", arguments: 1...6)
    func model(seed: Int) async throws {
        // Odd seeds compact in the background, even ones in a fixed order of file calls.
        var forest = try await Forest(
            seed: UInt64(seed), onWriter: seed % 2 == 0, bytesPerSecond: seed % 3 == 0 ? nil : 1 << 40)
        for step in 0..<90 {
            let place = "seed \(seed), step \(step)"
            switch forest.random.below(100) {
            case 0..<35: try await forest.grow()
            case 35..<42: try await forest.plant(children: forest.random.below(30))
            case 42..<50:
                if let root = forest.live.keys.sorted().first { try await forest.fell(root) }
            case 50..<70:
                if !forest.shown.isEmpty { try await forest.drop(forest.random.pick(forest.shown)) }
            case 70..<76:
                let count = forest.random.below(12)
                let report = try await forest.store.applyRetention(
                    RetentionPolicy(count: count), now: Timestamp(milliseconds: 0))
                #expect(report.trees == max(0, forest.shown.count - count), "\(place)")
                for root in forest.shown.prefix(report.trees) { forest.trees[root]?.isDropped = true }
            case 76..<84:
                let report = try await forest.store.compact()
                #expect(report.bytesAfter <= report.bytesBefore, "\(place)")
                try forest.check("\(place), compacted")
            case 84..<90: try await forest.reopen()
            case 90..<96: try await forest.crash(forest.random.coin() ? .dropAll : .keepAll)
            default: try forest.check(place)
            }
        }
        try forest.check("seed \(seed), at the end")
        try await forest.store.compact()
        try forest.check("seed \(seed), compacted at the end")
        try await forest.reopen()
        try forest.check("seed \(seed), reopened at the end")
        #expect(try forest.store.sizes().droppedTrees == 0, "seed \(seed)")
        #expect(try forest.store.sizes().housekeepingFailure == nil, "seed \(seed)")
        try await forest.store.close()
    }

    @Test("A compaction gives back what dropped trees took, forgets them, and lets no file behind")
    func reclaims() async throws {
        var forest = try await Forest(seed: 11)
        for _ in 0..<30 { try await forest.grow(children: 40) }
        let before = try forest.store.sizes()
        for root in forest.ended.dropLast(3) { try await forest.drop(root) }
        let waiting = try forest.store.sizes()
        #expect(waiting.droppedTrees == 27)
        #expect(waiting.droppedBytes > before.index.bytes / 2)
        let report = try await forest.store.compact()
        #expect(report.treesReclaimed == 27)
        #expect(report.bytesAfter < report.bytesBefore / 4)
        let after = try forest.store.sizes()
        #expect(after.droppedTrees == 0)
        #expect(after.droppedBytes == 0)
        #expect(after.index.bytes < before.index.bytes / 3)
        #expect(after.index.count == report.segmentsAfter)
        try forest.check("compacted")
        #expect(try await forest.store.compact().treesReclaimed == 0)
        try await forest.reopen()
        try forest.check("reopened")
    }

    @Test("After a compaction a parent's blocks lie side by side, full, and in as few segments as they fill")
    func clusters() async throws {
        var forest = try await Forest(seed: 12)
        var roots: [UInt64] = []
        for _ in 0..<8 { roots.append(try await forest.plant(children: 120)) }
        for root in roots { try await forest.fell(root) }
        func blocks(_ root: UInt64) throws -> Int { try forest.store.children(of: TaskID(root)).extents.count }
        let before = try roots.map(blocks).reduce(0, +)
        try await forest.store.compact()
        let after = try roots.map(blocks).reduce(0, +)
        #expect(after < before / 2)
        for root in roots {
            let extents = try forest.store.children(of: TaskID(root)).extents
            for (left, right) in zip(extents, extents.dropFirst()) {
                #expect(left.offset + left.length == right.offset || right.offset == FileHeader.size)
            }
        }
        try forest.check("compacted")
    }

    @Test("A kill at any file call of a compaction loses nothing and brings nothing back")
    func survivesKills() async throws {
        var forest = try await Forest(seed: 13)
        for _ in 0..<10 { try await forest.grow(children: 25) }
        try await forest.plant(children: 20)
        for root in [1, 2, 5, 7] { try await forest.drop(forest.ended[root]) }
        try await forest.store.close()
        let image = forest.fileSystem.crash(keeping: .keepAll)
        var count = 0
        var isDone = false
        while !isDone {
            for policy in [CrashPolicy.dropAll, .keepAll, .random(seed: UInt64(count), tearing: .sectors)] {
                forest.fileSystem = image.crash(keeping: .keepAll)
                try await forest.open()
                forest.fileSystem.faults = .crashing(afterCall: count)
                let report = try? await forest.store.compact()
                isDone = report != nil && !forest.fileSystem.isStopped
                try await forest.crash(policy)
                try forest.check("killed after call \(count), \(policy)")
                // What a killed compaction left is gone, or in the way of nothing.
                try await forest.store.compact()
                try forest.check("compacted again after call \(count), \(policy)")
                let sizes = try forest.store.sizes()
                #expect(sizes.droppedTrees == 0)
                #expect(sizes.index.count == forest.store.shared.committed.withLock { $0.index.sealed.count })
                try await forest.store.close()
            }
            count += 1
        }
        #expect(count > 20)
    }

    @Test("Damage in an input stops the compaction, names the file, and leaves everything as it was")
    func stopsAtDamage() async throws {
        var forest = try await Forest(seed: 14)
        for _ in 0..<8 { try await forest.grow(children: 40) }
        try await forest.drop(forest.ended[0])
        let segments = forest.store.shared.committed.withLock { $0.index.sealed }
        let victim = try #require(segments.dropFirst().first)
        let path = forest.directory.appending(StoreFiles.name(.index, UInt64(victim.file.number)))
        try forest.fileSystem.flipBit(in: path, atByte: FileHeader.size + FrameHeader.size + 20, bit: 3)
        try await forest.reopen()
        let before = try #require(forest.fileSystem.contents(path).map(Digest.init))
        var failure: StoreError?
        do throws(StoreError) { try await forest.store.compact() } catch { failure = error }
        #expect(failure?.code == .damaged)
        #expect(failure?.file == path)
        #expect(forest.fileSystem.contents(path).map(Digest.init) == before)
        #expect(try forest.store.sizes().housekeepingFailure == failure)
        let names = try forest.fileSystem.list(forest.directory).filter { $0.hasPrefix("index-") }
        let kept = forest.store.shared.committed.withLock { committed in
            committed.index.sealed.map { StoreFiles.name(.index, UInt64($0.file.number)) }
        }
        #expect(Set(names) == Set(kept))
        try forest.fileSystem.flipBit(in: path, atByte: FileHeader.size + FrameHeader.size + 20, bit: 3)
        try await forest.reopen()
        try await forest.store.compact()
        try forest.check("repaired and compacted")
    }

    @Test(
        "F33: damage is set aside and told, in a block or a directory, and the rest is compacted",
        arguments: [true, false])
    func goesOnBesideDamage(inDirectory: Bool) async throws {
        var forest = try await Forest(seed: 22)
        for _ in 0..<12 { try await forest.grow(children: 40) }
        let segments = forest.store.shared.committed.withLock { $0.index.sealed }
        let victim = try #require(segments.dropFirst(segments.count / 2).first)
        let path = victim.file.path
        let place = inDirectory ? victim.length - 20 : FileHeader.size + FrameHeader.size + 20
        try await forest.store.close()
        try forest.fileSystem.flipBit(in: path, atByte: place, bit: 3)
        forest.configuration.compactionBytesPerSecond = 1 << 40
        try await forest.open()
        // The first trees are in other segments than the victim; with them work comes in the background.
        let roots = forest.ended.prefix(3)
        var transaction = Transaction()
        let lookUp = DropLookUp(StoreState(), heedsPins: false)
        for root in roots {
            let row = try #require(forest.trees[root]?.row)
            let sequence = try #require(forest.sequences[root])
            transaction.drop(DroppedTree(root: TaskID(root), sequence: sequence, kind: row.kind), lookUp)
        }
        try await forest.store.append(transaction)
        await forest.store.rest()
        var failure: StoreError?
        let before = try forest.store.sizes().index.bytes
        do throws(StoreError) { try await forest.store.compact() } catch { failure = error }
        #expect(failure?.code == .damaged && failure?.file == path)
        let sizes = try forest.store.sizes()
        #expect(sizes.damage.map(\.file) == [path])
        #expect(sizes.housekeepingFailure?.code == .damaged)
        #expect(sizes.index.bytes < before)
        #expect(forest.fileSystem.contents(path) != nil)
        // What is left of dropped trees is known where the directory is; what the segment itself has of them stays.
        #expect(inDirectory ? sizes.droppedTrees == 3 : sizes.droppedTrees < 3)
        // It is said as long as it holds.
        for _ in 0..<2 { await #expect(throws: try #require(failure)) { try await forest.store.compact() } }
        #expect(try forest.store.sizes().index.bytes == sizes.index.bytes)
        try await forest.store.close()
        try forest.fileSystem.flipBit(in: path, atByte: place, bit: 3)
        try await forest.open()
        for root in roots { forest.trees[root]?.isDropped = true }
        try forest.check("repaired")
        try await forest.store.compact()
        try forest.check("repaired and compacted")
        #expect(try forest.store.sizes().droppedTrees == 0)
    }

    @Test("What is full and live stays as it is when a compaction is asked for, and nothing is done twice")
    func leavesFullSegments() async throws {
        var forest = try await Forest(seed: 23)
        forest.configuration.blockSizes = BlockSizes()
        for _ in 0..<12 { try await forest.grow(children: 60) }
        try await forest.store.compact()
        func numbers() -> [UInt32] { forest.store.shared.committed.withLock { $0.index.sealed.map(\.file.number) } }
        let before = numbers()
        #expect(try await forest.store.compact() == CompactionReport())
        #expect(numbers() == before)
        try await forest.grow(children: 60)
        let report = try await forest.store.compact()
        #expect(report.segmentsBefore < before.count)
        #expect(Set(numbers()).isSuperset(of: before.dropLast(2)))
        try forest.check("compacted again")
    }

    @Test("Without space nothing is lost, and the compaction runs once there is space")
    func survivesFullDisk() async throws {
        var forest = try await Forest(seed: 15)
        for _ in 0..<8 { try await forest.grow(children: 40) }
        try await forest.drop(forest.ended[3])
        var failing = 1
        var failures = 0
        while failing < 200 {
            forest.fileSystem.faults = .failing(.write, at: failing, with: .noSpace, .fromThenOn)
            do throws(StoreError) {
                try await forest.store.compact()
                forest.fileSystem.faults = FaultPlan()
                break
            } catch {
                failures += 1
                #expect(error.code == .noSpace, "\(error)")
            }
            forest.fileSystem.faults = FaultPlan()
            try forest.check("no space at write \(failing)")
            failing += 1
        }
        #expect(failures > 2)
        try await forest.store.compact()
        try forest.check("compacted")
    }

    @Test("T12: dropped trees are reclaimed also where what is left packs worse than the whole did")
    func reclaimsWhatPacksWorse() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let roots = try await store.append(.spawning(1000)).spawned[0].map { $0 }
        var ending = Transaction()
        for root in roots { ending.end(.init(root, under: 0)) }
        try await store.append(ending)
        try await store.compact()
        var random = SeededGenerator(seed: 18)
        let dropped = roots.filter { _ in random.chance(1, in: 3) }
        for root in dropped { try await store.dropTree(TaskID(root), durability: .buffered) }
        let report = try await store.compact()
        #expect(report.treesReclaimed == dropped.count)
        #expect(try store.sizes().droppedTrees == 0)
        #expect(try store.children(of: .none).count == 1000 - dropped.count)
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(try reopened.children(of: .none).count == 1000 - dropped.count)
        #expect(reopened.totals.endedRoots == UInt64(1000 - dropped.count))
        try await reopened.close()
    }

    @Test("Who asks while a compaction runs gets one that begins afterwards")
    func asksWhileOneRuns() async throws {
        var forest = try await Forest(seed: 19)
        for _ in 0..<6 { try await forest.grow(children: 30) }
        let threads = HeldThreads()
        threads.open()
        forest.configuration.startThread = threads.start
        forest.configuration.relocates = false
        try await forest.reopen()
        threads.hold()
        let store = forest.store
        let first = Task { try await store.compact() }
        while !threads.isHolding { await Task.yield() }
        // What is written now is not in the segments that the first one takes.
        try await forest.grow(children: 30)
        try await forest.drop(forest.ended[6])
        let waiting = await withCheckedContinuation { (continuation: CheckedContinuation<Int, Never>) in
            _ = store.shared.queue.update { queue, _ in
                queue.post { writer in
                    writer.requestCompaction { _ in continuation.resume(returning: store.committed.state.dropped.count)
                    }
                }
            }
            threads.open()
        }
        #expect(waiting == 0)
        _ = try await first.value
        try forest.check("compacted twice")
        try await store.close()
    }

    @Test("Walks that run while compactions replace their segments show what they showed at first")
    func walksGoOn() async throws {
        var forest = try await Forest(seed: 16, onWriter: false, bytesPerSecond: 1 << 40)
        for _ in 0..<10 { try await forest.grow(children: 60) }
        let snapshots = try forest.ended.map { ($0, try forest.store.children(of: TaskID($0))) }
        var cursors = snapshots.map { $0.1.makeCursor() }
        var found = [Int](repeating: 0, count: cursors.count)
        var block = ChildBlock()
        for round in 0..<5 {
            for index in cursors.indices where try cursors[index].next(into: &block) { found[index] += block.count }
            if round < 3 { try await forest.drop(forest.ended[round]) }
            try await forest.store.compact()
        }
        for index in cursors.indices {
            while try cursors[index].next(into: &block) { found[index] += block.count }
            #expect(found[index] == snapshots[index].1.count)
        }
        try forest.check("at the end")
    }

    @Test("Closing stops a compaction that waits for its budget")
    func closesAtOnce() async throws {
        var forest = try await Forest(seed: 17)
        for _ in 0..<12 { try await forest.grow(children: 60) }
        forest.configuration.startThread = MemoStore.Configuration().startThread
        forest.configuration.compactionBytesPerSecond = 1
        try await forest.reopen()
        for root in forest.ended.dropLast(2) { try await forest.drop(root) }
        await forest.store.settle()
        // At a byte a second it would take hours.
        try await forest.store.close()
        forest.configuration.compactionBytesPerSecond = nil
        try await forest.open()
        try forest.check("reopened")
        #expect(try forest.store.sizes().housekeepingFailure == nil)
    }
}
