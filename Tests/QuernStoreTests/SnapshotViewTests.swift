// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A parent with children of all kinds, and the order in which they must be shown.
private struct ViewModel {
    enum Place: CaseIterable { case memory, disk, mixed }

    let store: MemoStore
    let root: TaskID
    var all: [StoreFacts.Child] = []

    static func make(seed: UInt64, _ place: Place) async throws -> ViewModel {
        var random = SeededGenerator(seed: seed)
        var configuration = MemoStore.Configuration()
        configuration.checkpointBytes = 40 << 10
        if place != .memory {
            configuration.indexSegmentBytes = 8 << 10
            configuration.openBlockBytes = place == .disk ? 500 : 2100
            // A parent that ended then leaves nothing in memory, however small.
            if place == .disk { configuration.blockSizes.small = 0 }
        }
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = TaskID(try await store.append(.spawning(2)).spawned[0].lowerBound)
        let other = TaskID(root.rawValue + 1)
        let ids = Array(try await store.append(.spawning(700, under: root.rawValue)).spawned[0])
        let aside = Array(try await store.append(.spawning(200, under: other.rawValue)).spawned[0])
        var asideLeft = aside[...]
        var start = 0
        // Stretches of one kind and length among mixed ones, so that uniform blocks come with others.
        while start < ids.count {
            // The last ones come one by one, and stay in memory.
            let count = start < 680 ? min(1 + random.below(60), 680 - start) : 1
            let isUniform = random.coin()
            var transaction = Transaction()
            for id in ids[start..<(start + count)] {
                let kind = isUniform || random.chance(3, in: 4) ? .completed : random.pick(OutcomeKind.allCases)
                let value = random.bytes(isUniform ? 11 : random.below(40))
                transaction.end(
                    .init(
                        task: TaskID(id), parent: root, label: Label(rawValue: 1), kind: kind,
                        attempts: UInt32(1 + random.below(3)), endedAt: Timestamp(milliseconds: Int64(id)))
                ) { $0.append(contentsOf: value) }
            }
            // Outcomes of another parent lie between.
            for id in asideLeft.prefix(random.below(12)) {
                transaction.end(
                    .init(
                        task: TaskID(id), parent: other, label: Label(rawValue: 1), kind: .completed,
                        endedAt: Timestamp(milliseconds: 0)))
                asideLeft = asideLeft.dropFirst()
            }
            try await store.append(transaction)
            start += count
        }
        if place == .disk {
            var transaction = Transaction()
            for id in asideLeft {
                transaction.end(
                    .init(
                        task: TaskID(id), parent: other, label: Label(rawValue: 1), kind: .completed,
                        endedAt: Timestamp(milliseconds: 0)))
            }
            try await store.append(transaction)
            try await store.append(.ending([root.rawValue], under: 0))
        }
        var model = ViewModel(store: store, root: root)
        model.all = try StoreFacts.children(of: try store.children(of: root))
        return model
    }
}

extension [StoreFacts.Child] {
    fileprivate var counts: OutcomeCounts { reduce(into: OutcomeCounts()) { $0[$1.kind] += 1 } }
}

@Suite("Views of a snapshot (S8, S9, S11)")
struct SnapshotViewTests {
    @Test(
        "Views, one on another, show what the full walk shows, with the right counts",
        arguments: 1...24 as ClosedRange<UInt64>)
    func views(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let place = ViewModel.Place.allCases[Int(seed) % 3]
        let model = try await ViewModel.make(seed: seed, place)
        let full = try model.store.children(of: model.root)
        #expect(full.count == 700 && model.all.count == 700, "seed \(seed)")
        #expect(full.endsInMemory == (place != .disk), "seed \(seed)")
        #expect(place == .memory ? full.extents.count == 1 : full.extents.count > 8, "seed \(seed)")
        try check(full, model.all, seed, &random)
        try await model.store.close()
    }

    @Test(
        "Children of several parents are shown as one's, without those that are left out (T12a)",
        arguments: 1...24 as ClosedRange<UInt64>)
    func severalParents(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let model = try await ViewModel.make(seed: seed, ViewModel.Place.allCases[Int(seed) % 3])
        var combined = try model.store.children(of: model.root)
        var all = model.all.map { (parent: model.root, row: $0) }
        var before = model.root
        for generation in 0..<3 {
            let parent = try await model.store.append(.spawning(1)).spawned[0].lowerBound
            let count = generation == 1 && random.coin() ? 0 : 1 + random.below(200)
            let ids = count == 0 ? [] : Array(try await model.store.append(.spawning(count, under: parent)).spawned[0])
            var transaction = Transaction()
            for id in ids {
                let kind = random.coin() ? .completed : random.pick(OutcomeKind.allCases)
                let value = random.bytes(random.below(40))
                transaction.end(
                    .init(
                        task: TaskID(id), parent: TaskID(parent), label: Label(rawValue: 1), kind: kind,
                        endedAt: Timestamp(milliseconds: 0))
                ) { $0.append(contentsOf: value) }
                if random.chance(1, in: 50) {
                    try await model.store.append(transaction)
                    transaction = Transaction()
                }
            }
            try await model.store.append(transaction)
            let own = try model.store.children(of: TaskID(parent))
            let kinds = OutcomeKind.allCases.filter { $0.isFailure || (generation == 2 && $0 == .cancelled) }
            // In the wrong order they are no one parent's.
            #expect(own.isEmpty || combined.preceded(by: own, leavingOut: []) == nil, "seed \(seed)")
            let earlier = combined
            // Of those before, what was left out then is left out alone.
            let kept = all.filter { $0.parent != before || !kinds.contains($0.row.kind) }
            combined = try #require(own.preceded(by: earlier, leavingOut: kinds), "seed \(seed)")
            before = TaskID(parent)
            all = kept + (try StoreFacts.children(of: own)).map { (parent: TaskID(parent), row: $0) }
            try check(combined, all.map(\.row), seed, &random)
        }
        try await model.store.close()
    }

    private func check(
        _ full: ChildSnapshot, _ all: [StoreFacts.Child], _ seed: UInt64, _ random: inout SeededGenerator
    ) throws {
        for round in 0..<40 {
            var view = full
            var rows = all
            var path = "seed \(seed), round \(round): "
            for _ in 0..<(1 + random.below(4)) {
                switch random.below(4) {
                case 0:
                    let known = all.map(\.sequence)
                    let position = random.chance(1, in: 8) ? 0 : random.pick(known) + UInt64(random.below(2))
                    path += "after \(position), "
                    view = try view.after(position)
                    rows.removeAll { $0.sequence <= position }
                case 1:
                    path += "reversed, "
                    view = view.reversed()
                    rows.reverse()
                case 2:
                    path += "failures, "
                    view = view.failuresOnly
                    rows.removeAll { !$0.kind.isFailure }
                default:
                    let count = 1 + random.below(6)
                    path += "split \(count), "
                    let parts = view.split(into: count)
                    #expect(parts.count <= count && parts.allSatisfy { !$0.isEmpty }, "\(path)")
                    let joined = try parts.flatMap { try StoreFacts.children(of: $0) }
                    #expect(joined == rows, "\(path)")
                    if parts.isEmpty { continue }
                    let chosen = random.below(parts.count)
                    let part = parts[chosen]
                    let before = parts[..<chosen].reduce(0) { $0 + $1.count }
                    rows = Array(rows[before..<(before + part.count)])
                    view = part
                }
            }
            #expect(try StoreFacts.children(of: view) == rows, "\(path)")
            #expect(view.counts == rows.counts, "\(path)")
            #expect(view.count == rows.count && view.isEmpty == rows.isEmpty, "\(path)")
        }
    }

    @Test("A view agrees with itself whatever columns its walk decodes", arguments: 1...6 as ClosedRange<UInt64>)
    func columns(seed: UInt64) async throws {
        let model = try await ViewModel.make(seed: seed, .mixed)
        let position = model.all[100 + Int(seed) * 50].sequence
        let view = try model.store.children(of: model.root, after: position).reversed()
        let rows = Array(model.all.filter { $0.sequence > position }.reversed())
        for raw in 0..<8 as Range<UInt8> {
            let columns = ChildColumns(rawValue: raw)
            var cursor = view.makeCursor(columns: columns)
            var block = ChildBlock()
            var next = 0
            while try cursor.next(into: &block) {
                #expect(block.count > 0)
                for index in 0..<block.count {
                    let row = rows[next]
                    next += 1
                    #expect(block.kind(at: index) == row.kind)
                    if columns.contains(.facts) { #expect(block.id(at: index).rawValue == row.id) }
                    if columns.contains(row.kind == .completed ? .memos : .errors) {
                        #expect(block.withValue(at: index) { Digest($0) } == row.value)
                    }
                }
            }
            #expect(next == rows.count)
        }
        try await model.store.close()
    }

    @Test("Memos that lie side by side do so in every view")
    func uniform() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let ids = Array(try await store.append(.spawning(10_000, under: root.rawValue)).spawned[0])
        var transaction = Transaction()
        for id in ids {
            transaction.end(
                .init(
                    task: TaskID(id), parent: root, label: Label(rawValue: 1), kind: .completed,
                    endedAt: Timestamp(milliseconds: 0))
            ) {
                $0.append(littleEndian: id)
                $0.append(littleEndian: id * 3)
            }
        }
        try await store.append(transaction)
        let view = try store.children(of: root).after(2500).reversed()
        for columns in [ChildColumns.memos, .all] {
            var found: [UInt64] = []
            var cursor = view.makeCursor(columns: columns)
            var block = ChildBlock()
            while try cursor.next(into: &block) {
                block.withMemos(as: (UInt64, UInt64).self) { memos in
                    for index in memos.indices {
                        found.append(memos[index].0)
                        #expect(memos[index].1 == memos[index].0 * 3)
                    }
                }
            }
            #expect(found == ids[2500...].reversed())
        }
        try await store.close()
    }

    @Test(
        "A walk that stopped goes on behind its last block, whatever it decodes", arguments: [ChildColumns.memos, .all])
    func goesOn(columns: ChildColumns) async throws {
        let model = try await ViewModel.make(seed: 5, .mixed)
        var position: UInt64 = 0
        var count = 0
        var block = ChildBlock()
        while true {
            var cursor = try model.store.children(of: model.root, after: position).makeCursor(columns: columns)
            guard try cursor.next(into: &block) else { break }
            count += block.count
            #expect(block.lastSequence == model.all[count - 1].sequence)
            position = block.lastSequence
        }
        #expect(count == 700)
        try await model.store.close()
    }

    @Test("Blocks without failures are not opened, and memos of the others are not decompressed")
    func failuresReadLittle() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 500
        configuration.indexSegmentBytes = 4 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let ids = Array(try await store.append(.spawning(500, under: root.rawValue)).spawned[0])
        for (number, id) in ids.enumerated() {
            var transaction = Transaction()
            transaction.end(
                .init(
                    task: TaskID(id), parent: root, label: Label(rawValue: 1),
                    kind: number == 250 ? .failed : .completed,
                    endedAt: Timestamp(milliseconds: 0))
            ) { $0.append(contentsOf: [UInt8](repeating: 1, count: 30)) }
            try await store.append(transaction)
        }
        let children = try store.children(of: root)
        let view = children.failuresOnly
        #expect(children.extents.count > 20 && view.extents.count == 1 && view.count == 1)
        var cursor = view.makeCursor()
        var block = ChildBlock()
        #expect(try cursor.next(into: &block))
        #expect(block.count == 1 && block.id(at: 0).rawValue == ids[250] && block.memos.isEmpty)
        #expect(try !cursor.next(into: &block))
        #expect(try children.after(UInt64(300)).failuresOnly.isEmpty)
        try await store.close()
    }

    @Test("Parts have about equal rows")
    func parts() async throws {
        let model = try await ViewModel.make(seed: 9, .disk)
        let full = try model.store.children(of: model.root)
        let largest = full.extents.map(\.storedRows).max() ?? 0
        for count in 1...9 {
            let parts = full.split(into: count)
            #expect(parts.allSatisfy { $0.count <= 700 / count + largest + 1 })
            #expect(parts.reduce(0) { $0 + $1.count } == 700)
        }
        #expect(try full.after(.max).isEmpty)
        #expect(try full.after(.max).split(into: 3).isEmpty)
        try await model.store.close()
    }

    @Test("Views show the snapshot while children go on ending")
    func concurrentWrites() async throws {
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 4 << 10
        configuration.indexSegmentBytes = 32 << 10
        configuration.checkpointBytes = 64 << 10
        let store = try await MemoStore.labelled(
            at: "/store", configuration: configuration, fileSystem: SimulatedFileSystem())
        let root = TaskID(try await store.append(.spawning(1)).spawned[0].lowerBound)
        let ids = Array(try await store.append(.spawning(6000, under: root.rawValue)).spawned[0])
        let writer = Task {
            for start in stride(from: 0, to: 6000, by: 10) {
                try await store.append(.ending(ids[start..<(start + 10)], under: root.rawValue))
            }
        }
        var sizes: Set<Int> = []
        var snapshots: [ChildSnapshot] = []
        while sizes.max() ?? 0 < 6000 {
            let snapshot = try store.children(of: root)
            sizes.insert(snapshot.count)
            if snapshots.count < 40 { snapshots.append(snapshot) } else { snapshots[sizes.count % 40] = snapshot }
            for snapshot in snapshots.suffix(3) {
                let ended = try StoreFacts.children(of: snapshot).map(\.id)
                #expect(ended == Array(ids.prefix(snapshot.count)))
                #expect(snapshot.count.isMultiple(of: 10))
                let half = UInt64(snapshot.count / 2)
                let late = try StoreFacts.children(of: try snapshot.after(half).reversed()).map(\.id)
                #expect(late == ended[Int(half)...].reversed())
                #expect(try snapshot.split(into: 3).flatMap { try StoreFacts.children(of: $0).map(\.id) } == ended)
            }
            await Task.yield()
        }
        try await writer.value
        for snapshot in snapshots {
            #expect(try StoreFacts.children(of: snapshot).map(\.id) == Array(ids.prefix(snapshot.count)))
        }
        try await store.close()
    }
}
