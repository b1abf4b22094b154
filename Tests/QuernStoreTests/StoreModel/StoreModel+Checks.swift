// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting

/// What the model asks: of the store, and of a reader of the same store.
protocol AnsweringStore {
    func liveTasks() -> LiveTasks
    func task(forKey key: TaskKey) -> TaskID?
    func status(of parent: TaskID) -> ParentStatus?
    func withPayloads(of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void) throws(StoreError)
    func kept(_ task: TaskID, slot: UInt8) throws(StoreError) -> [UInt8]?
    func value(for name: String) -> [UInt8]?
    func values(withPrefix prefix: String) -> [(name: String, value: [UInt8])]
    func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot
}

extension MemoStore: AnsweringStore {}
extension MemoReader: AnsweringStore {}

extension AnsweringStore {
    func foundLive() throws(StoreError) -> [UInt64: ExpectedStore.LiveTask] {
        var found: [UInt64: ExpectedStore.LiveTask] = [:]
        let tasks = liveTasks()
        for entry in tasks.runs {
            let run = entry.run
            try withPayloads(of: run, indexes: entry.live) { index, payload in
                found[run.id(at: index).rawValue] = .init(
                    parent: run.parent.rawValue, label: run.label.rawValue,
                    payload: payload.withUnsafeBytes { Array($0) }, attributes: tasks.attributes[run.firstID] ?? [],
                    priority: run.priority)
            }
        }
        for name in 0..<StoreModel.names {
            if let task = task(forKey: StoreModel.key(name)) { found[task.rawValue]?.name = name }
        }
        return found
    }
}

extension StoreModel {
    private static let heldSnapshots = 8

    /// Compares what is live, and mostly but a sample of what has ended.
    mutating func check(_ store: some AnsweringStore) throws {
        if random.chance(1, in: 10) { return try checkEverything(store) }
        try checkLive(store)
        for _ in 0..<min(4, expected.endedParents.count) {
            try checkChildren(of: random.pick(expected.endedParents), in: store)
        }
        if !expected.droppedParents.isEmpty { try checkChildren(of: random.pick(expected.droppedParents), in: store) }
    }

    /// Compares everything that the store says with the model.
    func checkEverything(_ store: some AnsweringStore) throws {
        try checkLive(store)
        for parent in expected.endedParents + expected.droppedParents { try checkChildren(of: parent, in: store) }
    }

    /// A reader that is a few commits behind catches up.
    mutating func read() async throws {
        readerExpected = expected
        while true {
            if let reader {
                _ = try await reader.refresh()
            } else {
                reader = try await MemoReader.open(at: files.store, fileSystem: files.fileSystem)
            }
            do {
                if let reader { try check(reader) }
                return
            } catch let error as StoreError where error.code == .storeChanged {
                // Housekeeping went on meanwhile. It comes to an end.
                await store.rest()
            }
        }
    }

    /// A reader that is behind answers as it did, also when the files that it would look into are gone since.
    mutating func readOld() throws {
        guard let reader, !readerExpected.endedParents.isEmpty else { return }
        let parent = random.pick(readerExpected.endedParents)
        let found = try Self.unlessChanged { () throws(StoreError) in
            try Self.read(try reader.children(of: TaskID(parent))).children
        }
        try expect(
            found == nil || found == readerExpected.ended[parent, default: []],
            "a reader that is behind shows other children of \(parent)")
    }

    private func checkLive(_ store: some AnsweringStore) throws {
        let found = try store.foundLive()
        if found != expected.live {
            let different = Set(found.keys).union(expected.live.keys).filter { found[$0] != expected.live[$0] }.sorted()
            throw ModelMismatch(description: "\(different.count) live tasks differ: \(different.prefix(5))")
        }
        let details = store.liveTasks().details
        for id in found.keys {
            let detail = details[TaskID(id)] ?? .init()
            try expect(detail == expected.details[id] ?? .init(), "task \(id) has \(detail)")
        }
        for (task, slots) in expected.kept {
            for slot in Self.slots {
                let isSame = try store.kept(TaskID(task), slot: slot) == slots[slot]
                try expect(isSame, "task \(task) has something else in slot \(slot)")
            }
        }
        for prefix in ["", "value/", "value/1"] {
            let names = expected.values.keys.filter { $0.hasPrefix(prefix) }
                .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            let found = store.values(withPrefix: prefix)
            let areSame = found.map(\.name) == names && found.allSatisfy { expected.values[$0.name] == $0.value }
            try expect(areSame, "other values with the prefix '\(prefix)'")
            let first = names.first.map { store.value(for: $0) == expected.values[$0] } ?? true
            try expect(first, "another value of \(names.first ?? "")")
        }
        for (parent, count) in expected.liveChildren where count > 0 {
            let found = store.status(of: TaskID(parent))?.liveChildren
            try expect(found == UInt64(count), "parent \(parent) has \(found ?? 0) live children, not \(count)")
        }
    }

    private func checkChildren(of parent: UInt64, in store: some AnsweringStore) throws {
        let children = expected.ended[parent, default: []]
        let snapshot = try store.children(of: TaskID(parent))
        try expect(snapshot.counts == Self.counts(children), "parent \(parent) has the counts \(snapshot.counts)")
        if let status = store.status(of: TaskID(parent)) {
            let failure = expected.firstFailures[parent] ?? 0
            try expect(status.counts == snapshot.counts, "parent \(parent) has the status \(status)")
            try expect(status.firstFailure.rawValue == failure, "parent \(parent) has the status \(status)")
        }
        try expect(try Self.read(snapshot).children == children, "parent \(parent) has other children")
    }

    // MARK: Scans

    /// The views of one parent against the same views of an array.
    mutating func scan() throws {
        guard !expected.endedParents.isEmpty else { return }
        let parent = random.pick(expected.endedParents)
        let children = expected.ended[parent, default: []]
        let snapshot = try store.children(of: TaskID(parent))
        let (found, sequences) = try Self.read(snapshot)
        try expect(found == children, "parent \(parent) has other children")
        try expect(zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 }, "the sequences are out of order")

        var view = snapshot
        var shown = children
        var name = "children of \(parent)"
        if random.coin() {
            let skipped = random.below(children.count + 1)
            view = try view.after(skipped == 0 ? 0 : sequences[skipped - 1])
            shown.removeFirst(skipped)
            name += " after \(skipped)"
        }
        if random.chance(1, in: 3) {
            view = view.failuresOnly
            shown.removeAll { !$0.kind.isFailure }
            name += ", failures"
        }
        if random.chance(1, in: 3) {
            view = view.reversed()
            shown.reverse()
            name += ", reversed"
        }
        try expect(view.counts == Self.counts(shown), "\(name): the counts are \(view.counts)")
        try expect(try Self.read(view).children == shown, "\(name): others are shown")
        let parts = view.split(into: 1 + random.below(4))
        try expect(try parts.flatMap { try Self.read($0).children } == shown, "\(name): the parts show others")
    }

    mutating func hold() throws {
        guard !expected.endedParents.isEmpty else { return }
        if held.count == Self.heldSnapshots { held.remove(at: random.below(held.count)) }
        if let reader, random.chance(1, in: 3), !readerExpected.endedParents.isEmpty {
            let parent = random.pick(readerExpected.endedParents)
            guard
                let snapshot = try Self.unlessChanged({ () throws(StoreError) in try reader.children(of: TaskID(parent))
                })
            else { return }
            held.append(HeldSnapshot(snapshot: snapshot, children: readerExpected.ended[parent, default: []]))
        } else {
            let parent = random.pick(expected.endedParents)
            held.append(
                HeldSnapshot(
                    snapshot: try store.children(of: TaskID(parent)), children: expected.ended[parent, default: []]))
        }
    }

    /// Nil when the store has changed since a reader caught up.
    private static func unlessChanged<Value>(
        _ body: () throws(StoreError) -> Value
    ) throws(StoreError) -> Value? {
        do throws(StoreError) { return try body() } catch {
            guard error.code == .storeChanged else { throw error }
            return nil
        }
    }

    mutating func scanHeld() throws {
        guard !held.isEmpty else { return }
        let entry = random.pick(held)
        try expect(
            try Self.read(entry.snapshot).children == entry.children,
            "an old snapshot of \(entry.snapshot.parent) shows others")
    }

    // MARK: Reading

    static func read(
        _ snapshot: ChildSnapshot
    ) throws(StoreError) -> (children: [ExpectedChild], sequences: [UInt64]) {
        var cursor = snapshot.makeCursor(columns: [.all, .attachments])
        var block = ChildBlock()
        var children: [ExpectedChild] = []
        var sequences: [UInt64] = []
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                sequences.append(block.sequence(at: index))
                children.append(
                    ExpectedChild(
                        id: block.id(at: index).rawValue, kind: block.kind(at: index),
                        label: block.label(at: index).rawValue, attempts: block.attempts(at: index),
                        startedAt: block.startedAt(at: index).rawValue, endedAt: block.endedAt(at: index).rawValue,
                        value: block.withValue(at: index) { bytes in bytes.withUnsafeBytes { Array($0) } },
                        attachment: block.withAttachment(at: index) { bytes in bytes.withUnsafeBytes { Array($0) } }))
            }
        }
        return (children, sequences)
    }

    private static func counts(_ children: [ExpectedChild]) -> OutcomeCounts {
        children.reduce(into: OutcomeCounts()) { $0[$1.kind] += 1 }
    }
}
