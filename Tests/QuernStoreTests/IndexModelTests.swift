// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// Random parents with few or many children of all sizes, against a dictionary, with blocks so small that every shape
/// of index comes up: open, full, shared and waiting blocks, sealed segments and the open one.
private struct IndexModel {
    let seed: UInt64
    var random: SeededGenerator
    var files = SimulatedFileSystem()
    var configuration = MemoStore.Configuration()
    var store: MemoStore
    var live: [UInt64] = []
    var children: [UInt64: [UInt64]] = [:]
    var ended: [UInt64: [Digest]] = [:]

    init(seed: UInt64) async throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        configuration.blockSizes = BlockSizes(
            full: 256, rows: 16, small: 300 + random.below(300), sharedFrame: 512 + random.below(1500))
        configuration.openBlockBytes = random.pick([2 << 10, 16 << 10])
        configuration.indexSegmentBytes = random.pick([1, 2 << 10, 64 << 10])
        configuration.checkpointBytes = random.pick([4 << 10, 1 << 20])
        configuration.logSegmentBytes = 16 << 10
        store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    /// Spawns parents and children, ends some of both.
    mutating func commit() async throws {
        var spawn = Transaction()
        var parents: [UInt64] = []
        for _ in 0..<random.below(6) {
            spawn.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) { _ in }
            parents.append(0)
        }
        for parent in live where random.chance(1, in: 3) {
            for _ in 0..<random.pick([1, 2, 3, 40]) {
                spawn.spawn(under: TaskID(parent), label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) { _ in }
                parents.append(parent)
            }
        }
        for (id, parent) in zip(try await store.append(spawn).spawned.joined(), parents) {
            if parent == 0 { live.append(id) } else { children[parent, default: []].append(id) }
        }
        var end = Transaction()
        for parent in live {
            while let child = children[parent]?.last, !random.chance(1, in: 5) {
                children[parent]?.removeLast()
                self.end(child, under: parent, in: &end)
            }
            if children[parent, default: []].isEmpty, random.chance(1, in: 3) {
                live.removeAll { $0 == parent }
                self.end(parent, under: 0, in: &end)
            }
        }
        try await store.append(end)
    }

    private mutating func end(_ task: UInt64, under parent: UInt64, in transaction: inout Transaction) {
        let value = random.bytes(random.pick([0, 8, 24, 24, 24, random.below(700)]))
        let kind: OutcomeKind = random.chance(4, in: 5) ? .completed : .failed
        transaction.end(
            .init(
                task: TaskID(task), parent: TaskID(parent), label: Label(rawValue: 1), kind: kind,
                endedAt: Timestamp(milliseconds: 0))
        ) { $0.append(contentsOf: value) }
        ended[parent, default: []].append(Digest(value))
    }

    mutating func reopen() async throws {
        if random.coin() {
            try await store.close()
        } else {
            let remains = files.crash(keeping: random.pick([.dropAll, .keepAll]))
            await Workload.abandon(store, on: files)
            files = remains
        }
        store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    func check(_ place: String) throws {
        for (parent, expected) in ended {
            let snapshot = try store.children(of: TaskID(parent))
            let rows = try StoreFacts.children(of: snapshot)
            let isSame = rows.map(\.value) == expected
            #expect(isSame, "children of \(parent), seed \(seed), \(place)")
            let isOrdered = zip(rows, rows.dropFirst()).allSatisfy { $0.sequence < $1.sequence }
            #expect(isOrdered, "children of \(parent), seed \(seed), \(place)")
            #expect(snapshot.counts.total == UInt64(expected.count), "seed \(seed), \(place)")
        }
    }

    /// How many frames of blocks there are, and how many of them are shared.
    func frames() throws -> (all: Int, shared: Int) {
        let identity = store.shared.files.identity
        let index = store.shared.committed.withLock { $0.index }
        var counts = (all: 0, shared: 0)
        for (file, end) in index.sealed.map({ ($0.file, $0.directoryOffset) })
            + (index.open.map { [($0.file, $0.encoder.position)] } ?? [])
        {
            let mapping = try file.mapping(length: Int(end))
            var offset = FileHeader.size
            while offset < Int(end) {
                let header = try #require(
                    FrameHeader(mapping.bytes, at: offset, segment: file.number, seed: identity.seed))
                counts.all += 1
                if header.kind == .sharedBlocks { counts.shared += 1 }
                offset += header.totalLength
            }
            withExtendedLifetime(mapping) {}
        }
        return counts
    }
}

@Suite("Blocks on their way to the index (S8, S10, S11)")
struct IndexModelTests {
    @Test(
        "Whatever their size and wherever they wait, the children of each parent are read back in order",
        arguments: 1...16 as ClosedRange<UInt64>)
    func model(seed: UInt64) async throws {
        var model = try await IndexModel(seed: seed)
        for round in 0..<40 {
            try await model.commit()
            switch model.random.below(8) {
            case 0: try await model.reopen()
            case 1: try model.check("round \(round)")
            default: break
            }
        }
        try model.check("at the end")
        let frames = try model.frames()
        #expect(frames.shared > 0 && frames.shared < frames.all, "seed \(seed)")
        try await model.reopen()
        try model.check("reopened")
        try await model.store.close()
    }

    @Test("Memory of the children of very many small parents stays within its bound", arguments: [false, true])
    func manySmallParents(withMemos: Bool) async throws {
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 256 << 10
        let store = try await MemoStore.labelled(
            at: "/store", configuration: configuration, fileSystem: SimulatedFileSystem())
        let parents = try await store.append(.spawning(2000)).spawned[0]
        for _ in 0..<3 {
            for start in stride(from: parents.lowerBound, to: parents.upperBound, by: 100) {
                var spawn = Transaction()
                for parent in start..<(start + 100) {
                    spawn.spawn(under: TaskID(parent), label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) { _ in
                    }
                }
                let ids = Array(try await store.append(spawn).spawned.joined())
                var end = Transaction()
                for (parent, id) in zip(start..<(start + 100), ids) {
                    end.end(
                        .init(
                            task: TaskID(id), parent: TaskID(parent), label: Label(rawValue: 1), kind: .completed,
                            endedAt: Timestamp(milliseconds: 0))
                    ) { if withMemos { $0.append(contentsOf: [UInt8](repeating: 7, count: 24)) } }
                }
                try await store.append(end)
                #expect(store.shared.committed.withLock { $0.state.openBytes } <= configuration.openBlockBytes)
            }
        }
        for parent in parents { #expect(try store.children(of: TaskID(parent)).count == 3) }
        // Every parent is found through a few frames, not thousands.
        let index = store.shared.committed.withLock { $0.index }
        let entries = index.open?.directory.sorted() ?? []
        #expect(entries.count > 1000 && Set(entries.map(\.offset)).count < entries.count / 50)
        try await store.close()
    }

    @Test("A full disk keeps blocks in memory and loses none; they are written once there is space")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.blockSizes = BlockSizes(full: 200, rows: 8, small: 500, sharedFrame: 600)
        configuration.indexSegmentBytes = 1500
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        var expected: [UInt64] = []
        var refused = 0
        for round in 0..<200 {
            var plan = FaultPlan()
            if round % 7 > 4 { plan.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "index") }
            files.faults = plan
            do throws(StoreError) {
                let children = try await store.append(.spawning(5, under: root)).spawned[0]
                try await store.append(.ending(children, under: root))
                expected.append(contentsOf: children)
            } catch {
                #expect(error.code == .noSpace)
                refused += 1
            }
            let shown = try StoreFacts.children(of: TaskID(root), in: store).map(\.id)
            let isSame = shown == expected
            #expect(isSame, "round \(round)")
        }
        #expect(refused > 0)
        files.faults = FaultPlan()
        try await store.close()
        let again = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let found = try StoreFacts.children(of: TaskID(root), in: again).map(\.id)
        #expect(found == expected)
        try await again.close()
    }

    @Test("S6: opening a store reads no sealed segment; what is wrong with one is told when it is read")
    func sealedSegmentsAreOpenedWhenRead() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 1
        configuration.indexSegmentBytes = 1
        var store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let roots = try await store.append(.spawning(2)).spawned[0]
        for root in roots {
            let children = try await store.append(.spawning(2, under: root)).spawned[0]
            for child in children { try await store.append(.ending([child], under: root)) }
        }
        try await store.close()
        var plan = FaultPlan()
        plan.fail(.open, at: 1, with: .tooManyOpenFiles, .fromThenOn, in: "index-0000000001")
        files.faults = plan
        store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let error = #expect(throws: StoreError.self) { try store.children(of: TaskID(roots.lowerBound)) }
        #expect(error?.code == .inputOutput && error?.file == "/store/index-0000000001")
        // The trouble passes.
        files.faults = FaultPlan()
        for root in roots { #expect(try store.children(of: TaskID(root)).count == 2) }
        try await store.close()
    }
}
