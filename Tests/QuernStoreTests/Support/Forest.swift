// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// A dictionary of trees that does what a store does with them, drops too, and the store that it is compared with.
struct Forest {
    /// A child's outcome as it is read back.
    struct Child: Equatable {
        var id: UInt64
        var kind: OutcomeKind
        var value: Digest
    }

    struct Tree {
        /// The children of each parent in the tree, in the order in which they ended.
        var children: [UInt64: [Child]] = [:]
        var row: Child?
        var isDropped = false
        var count: Int { children.values.reduce(0) { $0 + $1.count } }
    }

    let directory: FilePath = "/store"
    var random: SeededGenerator
    var fileSystem = SimulatedFileSystem()
    var configuration = MemoStore.Configuration.exactLog
    var store: MemoStore
    var trees: [UInt64: Tree] = [:]
    /// Roots in the order in which they ended.
    var ended: [UInt64] = []
    /// The commit positions of their outcomes.
    var sequences: [UInt64: UInt64] = [:]
    /// Roots that are live, with children that are.
    var live: [UInt64: [UInt64]] = [:]
    var clock: Int64 = 1000
    private let label = Label(rawValue: 1)

    init(seed: UInt64, onWriter: Bool = true, bytesPerSecond: Int? = nil) async throws {
        random = SeededGenerator(seed: seed)
        configuration.logSegmentBytes = 4 << 10
        configuration.indexSegmentBytes = 6 << 10
        configuration.openBlockBytes = 2 << 10
        configuration.checkpointBytes = 12 << 10
        configuration.payloadCacheBytes = 1 << 10
        configuration.compactionBytesPerSecond = bytesPerSecond
        if onWriter { configuration.startThread = { $0() } }
        store = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: fileSystem)
        _ = try await store.label(for: "task")
    }

    var shown: [UInt64] { ended.filter { trees[$0]?.isDropped == false } }

    // MARK: Growing

    /// A tree of some children, some of which have children, that ends with its root.
    mutating func grow(children: Int? = nil) async throws {
        let root = try await plant(children: children ?? random.below(40))
        try await fell(root)
    }

    /// A tree whose root and some children stay live.
    @discardableResult
    mutating func plant(children count: Int) async throws -> UInt64 {
        let root = try await spawn(1, under: 0)[0]
        trees[root] = Tree()
        let children = try await spawn(count, under: root)
        let parents = children.filter { _ in random.chance(1, in: 6) }
        for parent in parents {
            let grandchildren = try await spawn(1 + random.below(8), under: parent)
            try await end(grandchildren, under: parent, of: root)
        }
        let kept = Array(children.suffix(2))
        try await end(children.dropLast(2).shuffled(using: &random), under: root, of: root)
        live[root] = kept
        return root
    }

    /// Ends a live tree.
    mutating func fell(_ root: UInt64) async throws {
        try await end(live[root] ?? [], under: root, of: root)
        live[root] = nil
        let rows = try await end([root], under: 0)
        trees[root]?.row = rows[0]
        ended.append(root)
        sequences[root] = store.shared.committed.withLock { $0.state.nextSequence } - 1
    }

    private mutating func spawn(_ count: Int, under parent: UInt64) async throws -> [UInt64] {
        guard count > 0 else { return [] }
        var transaction = Transaction()
        for _ in 0..<count {
            let payload = random.bytes(random.below(50))
            transaction.spawn(under: TaskID(parent), label: label, at: Timestamp(milliseconds: clock)) {
                $0.append(contentsOf: payload)
            }
        }
        return try await store.append(transaction).spawned.flatMap { Array($0) }
    }

    private mutating func end(_ tasks: [UInt64], under parent: UInt64, of root: UInt64) async throws {
        let rows = try await end(tasks, under: parent)
        trees[root]?.children[parent, default: []].append(contentsOf: rows)
    }

    private mutating func end(_ tasks: [UInt64], under parent: UInt64) async throws -> [Child] {
        var rows: [Child] = []
        for part in stride(from: 0, to: tasks.count, by: 7) {
            var transaction = Transaction()
            clock += 10
            for task in tasks[part..<min(part + 7, tasks.count)] {
                let kind = random.chance(1, in: 5) ? random.pick(OutcomeKind.allCases) : .completed
                let value =
                    random.coin() ? [UInt8](repeating: UInt8(task & 0xFF), count: 24) : random.bytes(random.below(90))
                transaction.end(
                    .init(
                        task: TaskID(task), parent: TaskID(parent), label: label, kind: kind,
                        endedAt: Timestamp(milliseconds: clock))
                ) { $0.append(contentsOf: value) }
                rows.append(Child(id: task, kind: kind, value: Digest(value)))
            }
            try await store.append(transaction)
        }
        return rows
    }

    // MARK: Dropping and reopening

    mutating func drop(_ root: UInt64) async throws {
        try await store.dropTree(TaskID(root))
        trees[root]?.isDropped = true
    }

    mutating func reopen() async throws {
        try await store.close()
        try await open()
    }

    /// Goes on with what a crash leaves.
    mutating func crash(_ policy: CrashPolicy) async throws {
        let remains = fileSystem.crash(keeping: policy)
        fileSystem.faults = .crashing(afterCall: 0)
        try? await store.close()
        fileSystem = remains
        try await open()
    }

    mutating func open() async throws {
        store = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: fileSystem)
    }

    // MARK: Comparing

    /// Compares everything with the store.
    func check(_ place: String) throws { try check(store, place) }

    func check(_ store: MemoStore, _ place: String) throws {
        for (root, tree) in trees {
            for (parent, children) in tree.children {
                let snapshot = try store.children(of: TaskID(parent))
                let isRight = try Self.read(snapshot) == (tree.isDropped ? [] : children)
                #expect(isRight, "children of \(parent) below \(root), \(place)")
                #expect(snapshot.count == (tree.isDropped ? 0 : children.count), "\(place)")
            }
        }
        let rows = shown.compactMap { trees[$0]?.row }
        let roots = try store.children(of: .none)
        #expect(roots.count == rows.count, "\(place)")
        let isRight = try Self.read(roots) == rows
        #expect(isRight, "roots, \(place)")
        let isRightReversed = try Self.read(roots.reversed()) == rows.reversed()
        #expect(isRightReversed, "roots from the last on, \(place)")
        let failures = rows.filter(\.kind.isFailure)
        #expect(roots.failuresOnly.count == failures.count, "\(place)")
        let areFailuresRight = try Self.read(roots.failuresOnly, values: false).map(\.id) == failures.map(\.id)
        #expect(areFailuresRight, "failed roots, \(place)")
        let parts = try roots.split(into: 3).flatMap { try Self.read($0) }
        let areTheSame = parts == rows
        #expect(areTheSame, "roots in parts, \(place)")
        #expect(store.totals.endedRoots == UInt64(rows.count), "\(place)")
    }

    static func read(_ snapshot: ChildSnapshot, values: Bool = true) throws -> [Child] {
        var cursor = snapshot.makeCursor()
        var block = ChildBlock()
        var children: [Child] = []
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                children.append(
                    Child(
                        id: block.id(at: index).rawValue, kind: block.kind(at: index),
                        value: values ? block.withValue(at: index) { Digest($0) } : Digest([])))
            }
        }
        return children
    }
}
