// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Walks over children: exactly what was committed when they began, in whatever shape they are asked for (S9 to S13).
@Suite struct WalkTests {
    /// Children of several shapes, partly in sealed segments, partly in the open one, partly in memory.
    static func store(
        seed: UInt64, on files: SimulatedFileSystem
    ) async throws -> (store: MemoStore, parent: TaskID, facts: [StoreFacts.Child]) {
        var random = SeededGenerator(seed: seed)
        var configuration = MemoStore.Configuration()
        configuration.indexSegmentBytes = 4 << 10
        configuration.openBlockBytes = 1
        var store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let other = try await store.append(.spawning(1)).spawned[0].lowerBound
        var expected: [StoreFacts.Child] = []
        var sequence: UInt64 = 1
        for round in 0..<12 {
            if round == 11 {
                // The last block stays in memory.
                try await store.close()
                configuration.openBlockBytes = 1 << 20
                store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
            }
            let children = try await store.append(.spawning(20, under: root)).spawned[0]
            let aside = try await store.append(.spawning(5, under: other)).spawned[0]
            var transaction = Transaction()
            for child in children {
                // Blocks of equal children, and others.
                let kind = round % 3 == 2 ? OutcomeKind.completed : random.pick(OutcomeKind.allCases)
                let value = random.bytes(round % 3 == 2 ? 24 : random.below(120))
                let label = UInt32(round % 3 == 2 ? 1 : 1 + random.below(3))
                transaction.end(
                    .init(
                        task: TaskID(child), parent: TaskID(root), label: Label(rawValue: label), kind: kind,
                        attempts: UInt32(round), startedAt: Timestamp(milliseconds: Int64(child)),
                        endedAt: Timestamp(milliseconds: Int64(round * 1000)))
                ) { $0.append(contentsOf: value) }
                expected.append(
                    StoreFacts.Child(
                        id: child, sequence: sequence, kind: kind, label: label, attempts: UInt32(round),
                        startedAt: Int64(child), endedAt: Int64(round * 1000), value: Digest(value)))
                sequence += 1
            }
            try await store.append(transaction)
            try await store.append(.ending(aside, under: other))
            sequence += 5
        }
        return (store, TaskID(root), expected)
    }

    @Test("S9: a walk that decodes less agrees with the full one", arguments: 1...6 as ClosedRange<UInt64>)
    func columns(seed: UInt64) async throws {
        let (store, parent, expected) = try await Self.store(seed: seed, on: SimulatedFileSystem())
        let snapshot = try store.children(of: parent)
        let full = try StoreFacts.children(of: snapshot)
        let isSame = full == expected
        #expect(isSame, "seed \(seed)")
        #expect(snapshot.extents.count > 4 && snapshot.endsInMemory, "seed \(seed)")
        for raw in 0..<8 as Range<UInt8> {
            let columns = ChildColumns(rawValue: raw)
            var cursor = snapshot.makeCursor(columns: columns)
            var block = ChildBlock()
            var place = 0
            var wrong = 0
            while try cursor.next(into: &block) {
                for index in 0..<block.count {
                    let child = expected[place]
                    if block.kind(at: index) != child.kind || block.label(at: index).rawValue != child.label {
                        wrong += 1
                    }
                    if columns.contains(.facts) {
                        if block.id(at: index).rawValue != child.id || block.sequence(at: index) != child.sequence
                            || block.attempts(at: index) != child.attempts
                            || block.startedAt(at: index).rawValue != child.startedAt
                            || block.endedAt(at: index).rawValue != child.endedAt
                        {
                            wrong += 1
                        }
                    }
                    let wanted: ChildColumns = child.kind == .completed ? .memos : .errors
                    if columns.contains(wanted), block.withValue(at: index, { Digest($0) }) != child.value {
                        wrong += 1
                    }
                    place += 1
                }
            }
            #expect(wrong == 0, "seed \(seed), columns \(raw)")
            #expect(place == expected.count, "seed \(seed), columns \(raw)")
        }
        try await store.close()
    }

    @Test("S13: the memos of a uniform block in place are those of its elements", arguments: [true, false])
    func uniformBlocks(reopened: Bool) async throws {
        let files = SimulatedFileSystem()
        var (store, parent, expected) = try await Self.store(seed: 3, on: files)
        if reopened {
            try await store.close()
            store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        }
        for columns in [ChildColumns.all, [.memos]] {
            var cursor = try store.children(of: parent).makeCursor(columns: columns)
            var block = ChildBlock()
            var uniform = 0
            var place = 0
            while try cursor.next(into: &block) {
                let rest = expected[place..<(place + block.count)]
                let isUniform = rest.allSatisfy {
                    $0.kind == .completed && $0.label == rest.first!.label && $0.value.count == rest.first!.value.count
                }
                #expect((block.uniform != nil) == isUniform)
                let completed = rest.filter { $0.kind == .completed }
                let areAlike = completed.allSatisfy {
                    $0.label == completed[0].label && $0.value.count == completed[0].value.count
                }
                #expect((block.completed != nil) == (areAlike && !completed.isEmpty))
                block.withMemos(as: Memo.self) { memos in
                    #expect(memos.count == (areAlike && completed.first?.value.count == 24 ? completed.count : 0))
                    for index in memos.indices {
                        let bytes = withUnsafeBytes(of: memos[index]) { Array($0) }
                        #expect(Digest(bytes) == completed[index].value)
                    }
                    uniform += memos.count
                }
                // Another layout is not mistaken for this one.
                block.withMemos(as: UInt64.self) { #expect($0.count == 0) }
                place += block.count
            }
            #expect(uniform >= 40)
        }
        try await store.close()
    }

    struct Memo: BitwiseCopyable {
        var first, second, third: UInt64
    }

    @Test("Facts that a walk did not decode are never made up, whatever the block looks like")
    func factsNotAskedFor() async {
        await #expect(processExitsWith: .failure) {
            let (store, parent, _) = try await WalkTests.store(seed: 1, on: SimulatedFileSystem())
            var cursor = try store.children(of: parent).makeCursor(columns: [.memos, .errors])
            var block = ChildBlock()
            while try cursor.next(into: &block) {
                if block.uniform == nil { _ = block.attempts(at: 0) }
            }
        }
        await #expect(processExitsWith: .failure) {
            let (store, parent, _) = try await WalkTests.store(seed: 1, on: SimulatedFileSystem())
            let snapshot = try store.children(of: parent)
            var cursor = snapshot.makeCursor(columns: [.memos, .errors])
            var block = ChildBlock()
            // The last block comes from memory.
            for _ in 0..<snapshot.extents.count { _ = try cursor.next(into: &block) }
            #expect(block.uniform != nil)
            _ = block.attempts(at: 0)
        }
    }

    @Test("S11: a snapshot shows what was committed before it, whatever is committed and removed meanwhile")
    func snapshots() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1 << 10
        configuration.indexSegmentBytes = 1 << 10
        configuration.openBlockBytes = 700
        configuration.checkpointBytes = 2 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        var snapshots: [(ChildSnapshot, Int)] = []
        var cursors: [(ChildCursor, Int)] = []
        var count = 0
        for _ in 0..<60 {
            let children = try await store.append(.spawning(5, under: root)).spawned[0]
            try await store.append(.ending(children, under: root))
            count += 5
            let snapshot = try store.children(of: TaskID(root))
            snapshots.append((snapshot, count))
            cursors.append((snapshot.makeCursor(columns: [.memos]), 0))
            // Walks that began earlier go on, a block each.
            for index in cursors.indices {
                var block = ChildBlock()
                if try cursors[index].0.next(into: &block) { cursors[index].1 += block.count }
            }
        }
        try await store.append(.ending([root], under: 0))
        try await store.close()
        for (snapshot, count) in snapshots {
            #expect(snapshot.counts.completed == UInt64(count))
            let children = try StoreFacts.children(of: snapshot)
            #expect(children.count == count)
            #expect(zip(children, children.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        }
        for index in cursors.indices {
            var block = ChildBlock()
            while try cursors[index].0.next(into: &block) { cursors[index].1 += block.count }
            #expect(cursors[index].1 == snapshots[index].1)
        }
    }

    @Test("Any number of scans may be open, and each sees what was there when it began (S11)")
    func openScans() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        try await store.append(.spawning(1))
        try await store.append(.spawning(5000, under: 1))
        var cursors: [ChildCursor] = []
        for end in stride(from: UInt64(2), to: 5002, by: 5) {
            try await store.append(.ending(end...end + 4, under: 1))
            cursors.append(try store.children(of: TaskID(1)).makeCursor(columns: .facts))
        }
        try await store.compact()
        for (index, cursor) in cursors.enumerated() {
            var (cursor, block, count) = (cursor, ChildBlock(), 0)
            while try cursor.next(into: &block) { count += block.count }
            #expect(count == (index + 1) * 5)
        }
        try await store.close()
    }
}
