// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

@testable import QuernStore

/// A length and a checksum, in the place of bytes that would flood a failure message.
struct Digest: Hashable {
    var count: Int
    var checksum: UInt32

    init(_ bytes: [UInt8]) {
        count = bytes.count
        checksum = bytes.withUnsafeBytes { Checksum.crc32c($0) }
    }

    init(_ span: RawSpan) {
        count = span.byteCount
        checksum = span.withUnsafeBytes { Checksum.crc32c($0) }
    }
}

/// What a store and a reader of one both answer.
protocol StoreAnswers {
    func liveTasks() -> LiveTasks
    func status(of parent: TaskID) -> ParentStatus?
    func withPayloads(of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void) throws(StoreError)
    func kept(_ task: TaskID, slot: UInt8) throws(StoreError) -> [UInt8]?
    func values(withPrefix prefix: String) -> [(name: String, value: [UInt8])]
    func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot
    var committed: Committed { get }
}

extension MemoStore: StoreAnswers {
    var committed: Committed { shared.committed.withLock { $0 } }
}

extension MemoReader: StoreAnswers {
    var committed: Committed { current.committed }
}

/// Everything that a store says about its tasks, as a value: stores with equal facts are the same to their users.
struct StoreFacts: Equatable {
    struct Live: Equatable {
        var parent: UInt64
        var label: UInt32
        var priority: UInt8
        var attributes: [UInt8]
        var key: TaskKey?
        var submittedAt: Int64
        var payload: Digest
        var detail: LiveTasks.Detail?
    }

    struct Child: Equatable {
        var id: UInt64
        var sequence: UInt64
        var kind: OutcomeKind
        var label: UInt32
        var attempts: UInt32
        var startedAt: Int64
        var endedAt: Int64
        var value: Digest
        var attachment = Digest([])
    }

    var live: [UInt64: Live] = [:]
    var parents: [UInt64: ParentStatus] = [:]
    /// What live tasks keep, by slot.
    var kept: [UInt64: [UInt8: Digest]] = [:]
    var values: [String: Digest] = [:]
    var children: [UInt64: [Child]] = [:]
    var names: [String] = []
    var nextID: UInt64 = 0

    init(_ store: some StoreAnswers) throws(StoreError) {
        let tasks = store.liveTasks()
        let state = store.committed.state
        for entry in tasks.runs {
            let run = entry.run
            try store.withPayloads(of: run, indexes: entry.live) { index, payload in
                let id = run.id(at: index)
                live[id.rawValue] = Live(
                    parent: run.parent.rawValue, label: run.label.rawValue, priority: run.priority,
                    attributes: tasks.attributes[run.firstID] ?? [], key: state.keys.key(of: id),
                    submittedAt: run.submittedAt.rawValue, payload: Digest(payload), detail: tasks.details[id])
            }
        }
        for parent in tasks.parents { parents[parent.id.rawValue] = parent }
        parents[0] = store.status(of: .none)
        for (slot, task, _) in state.slots.all {
            kept[task.rawValue, default: [:]][slot] = try store.kept(task, slot: slot).map { Digest($0) }
        }
        for (name, value) in store.values(withPrefix: "") { values[name] = Digest(value) }
        names = state.labels.names
        nextID = state.nextID
        for id in 0..<nextID {
            let found = try Self.children(of: TaskID(id), in: store)
            if !found.isEmpty { children[id] = found }
        }
    }

    static func children(of parent: TaskID, in store: some StoreAnswers) throws(StoreError) -> [Child] {
        try children(of: try store.children(of: parent))
    }

    static func children(of snapshot: ChildSnapshot) throws(StoreError) -> [Child] {
        var children: [Child] = []
        var cursor = snapshot.makeCursor(columns: .stored)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                children.append(Child(block, index))
            }
        }
        return children
    }

    /// Where the first difference is, in a few words.
    func difference(from other: StoreFacts) -> String {
        func keys<Value: Equatable>(_ name: String, _ left: [UInt64: Value], _ right: [UInt64: Value]) -> String? {
            let different = Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()
            return different.isEmpty ? nil : "\(name) of \(different.prefix(5)) (\(different.count) in all)"
        }
        let found = [
            keys("live task", live, other.live), keys("status", parents, other.parents),
            keys("slots", kept, other.kept), values == other.values ? nil : "values",
            keys("children", children, other.children),
            names == other.names ? nil : "names", nextID == other.nextID ? nil : "next id \(nextID), \(other.nextID)",
        ]
        return found.compactMap(\.self).joined(separator: "; ")
    }
}

extension StoreFacts.Child {
    init(_ block: ChildBlock, _ index: Int) {
        id = block.id(at: index).rawValue
        sequence = block.sequence(at: index)
        kind = block.kind(at: index)
        label = block.label(at: index).rawValue
        attempts = block.attempts(at: index)
        startedAt = block.startedAt(at: index).rawValue
        endedAt = block.endedAt(at: index).rawValue
        value = block.withValue(at: index) { Digest($0) }
        attachment = block.withAttachment(at: index) { Digest($0) }
    }
}
