// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

/// What a child's outcome must look like when it is read back.
struct ExpectedChild: Equatable {
    var id: UInt64
    var kind: OutcomeKind
    var label: UInt32
    var attempts: UInt32
    var startedAt: Int64
    var endedAt: Int64
    var value: [UInt8]
}

/// A dictionary that does what the store does, and the random operations that compare the two.
struct StoreModel {
    let seed: UInt64
    var random: SeededGenerator
    var fileSystem: SimulatedFileSystem
    let directory: FilePath = "/store"
    var configuration = MemoStore.Configuration()

    var liveTasks: [UInt64: (parent: UInt64, label: UInt32, payload: [UInt8])] = [:]
    var liveChildren: [UInt64: Set<UInt64>] = [:]
    var ended: [UInt64: [ExpectedChild]] = [:]
    var handovers: [UInt64: [UInt8]] = [:]
    var clock: Int64 = 1_700_000_000_000
    /// Tasks that wait for a commit, in the order of their positions.
    var stage: SpawnStage?
    var staged: [(parent: UInt64, label: UInt32, payload: [UInt8])] = []

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        fileSystem = SimulatedFileSystem()
        // Small, so that segments rotate, blocks are written early and checkpoints come often.
        configuration.logSegmentBytes = 8 << 10
        configuration.indexSegmentBytes = 16 << 10
        configuration.openBlockBytes = 4 << 10
        configuration.checkpointBytes = 20 << 10
        configuration.payloadCacheBytes = 2 << 10
    }

    mutating func run(operations: Int) async throws {
        var store = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: fileSystem)
        let labels = [try await store.label(for: "a"), try await store.label(for: "b")]
        for step in 0..<operations {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<80: try await commit(to: store, labels: labels)
            case 80..<90: try check(store, "seed \(seed), step \(step)")
            case 90..<95:
                (stage, staged) = (nil, [])
                try await store.close()
                store = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: fileSystem)
                #expect(store.recovery.wasClean, "seed \(seed), step \(step)")
                try check(store, "seed \(seed), step \(step), reopened")
            default:
                // Everything was committed with a sync, so that a loss of power may take nothing.
                let policy: CrashPolicy = Bool.random(using: &random) ? .dropAll : .keepAll
                let crashed = fileSystem.crash(keeping: policy)
                (stage, staged) = (nil, [])
                try await store.close()
                fileSystem = crashed
                store = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: fileSystem)
                #expect(!store.recovery.wasClean || store.recovery.replayedFrames == 0)
                try check(store, "seed \(seed), step \(step), crashed")
            }
        }
        try check(store, "seed \(seed), at the end")
        try await store.close()
    }

    private mutating func bytes(upTo limit: Int) -> [UInt8] {
        let count = Int.random(in: 0...limit, using: &random)
        let fill = UInt8.random(in: 0...255, using: &random)
        return (0..<count).map { $0 % 3 == 0 ? fill : UInt8.random(in: 0...255, using: &random) }
    }

    private mutating func commit(to store: MemoStore, labels: [Label]) async throws {
        var transaction = Transaction()
        clock += Int64.random(in: 0...50, using: &random)
        var spawned: [(parent: UInt64, label: UInt32, payload: [UInt8])] = []
        let candidates = liveTasks.keys.sorted()
        var endedNow: Set<UInt64> = []

        for _ in 0..<Int.random(in: 0...60, using: &random) {
            guard let task = candidates.randomElement(using: &random), !endedNow.contains(task),
                liveChildren[task, default: []].isEmpty, let info = liveTasks[task]
            else { continue }
            let kind: OutcomeKind =
                Bool.random(using: &random) ? .completed : OutcomeKind.allCases.randomElement(using: &random)!
            // Half of the memos have a fixed layout.
            let value = Bool.random(using: &random) ? (0..<24).map { UInt8($0 & 3) } : bytes(upTo: 300)
            let child = ExpectedChild(
                id: task, kind: kind, label: info.label, attempts: UInt32.random(in: 1...3, using: &random),
                startedAt: clock - Int64.random(in: 0...1000, using: &random), endedAt: clock, value: value)
            transaction.end(
                .init(
                    task: TaskID(task), parent: TaskID(info.parent), label: Label(rawValue: info.label), kind: kind,
                    attempts: child.attempts, startedAt: Timestamp(milliseconds: child.startedAt),
                    endedAt: Timestamp(milliseconds: clock))
            ) { $0.append(contentsOf: value) }
            endedNow.insert(task)
            liveTasks[task] = nil
            liveChildren[info.parent]?.remove(task)
            handovers[task] = nil
            ended[info.parent, default: []].append(child)
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let parents = candidates.filter { !endedNow.contains($0) }
            let parent = Int.random(in: 0..<4, using: &random) == 0 ? 0 : parents.randomElement(using: &random) ?? 0
            let label = labels.randomElement(using: &random)!
            let count = Int.random(in: 0..<10, using: &random) == 0 ? 100 : Int.random(in: 1...25, using: &random)
            for _ in 0..<count {
                let payload = bytes(upTo: 60)
                transaction.spawn(under: TaskID(parent), label: label, at: Timestamp(milliseconds: clock)) {
                    $0.append(contentsOf: payload)
                }
                spawned.append((parent, label.rawValue, payload))
            }
        }
        if let task = candidates.filter({ !endedNow.contains($0) }).randomElement(using: &random) {
            let value = bytes(upTo: 100)
            transaction.advance(TaskID(task), to: 1, value: value)
            handovers[task] = value
        }
        if Int.random(in: 0..<3, using: &random) == 0 { try await addToStage(of: store, labels: labels) }
        if let stage, Int.random(in: 0..<4, using: &random) == 0 {
            var whole = transaction
            whole.commit(stage)
            if staged.allSatisfy({ $0.parent == 0 || liveTasks[$0.parent] != nil }) {
                transaction = whole
                spawned += staged
            } else {
                // A parent has ended, in this transaction at the latest.
                #expect(await store.failure(of: whole)?.code == .rejected)
            }
            staged = []
            self.stage = nil
        }
        let commit = try await store.append(transaction)
        let ids = (commit.spawned + commit.staged).flatMap { Array($0) }
        #expect(ids.count == spawned.count)
        for (id, task) in zip(ids, spawned) {
            liveTasks[id] = task
            liveChildren[task.parent, default: []].insert(id)
        }
    }

    private mutating func addToStage(of store: MemoStore, labels: [Label]) async throws {
        var part = Transaction()
        var tasks: [(parent: UInt64, label: UInt32, payload: [UInt8])] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let parent = Bool.random(using: &random) ? 0 : liveTasks.keys.sorted().randomElement(using: &random) ?? 0
            let label = labels.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                let payload = bytes(upTo: 60)
                part.spawn(under: TaskID(parent), label: label, at: Timestamp(milliseconds: clock)) {
                    $0.append(contentsOf: payload)
                }
                tasks.append((parent, label.rawValue, payload))
            }
        }
        let stage = self.stage ?? store.makeStage()
        self.stage = stage
        let positions = try await stage.append(spawns: part)
        let before = staged.count
        staged += tasks
        for (position, task) in zip(positions.joined(), tasks) { staged[Int(position)] = task }
        #expect(positions.joined().sorted() == (before..<staged.count).map { UInt64($0) })
    }

    /// Compares everything that the store says with the model.
    func check(_ store: MemoStore, _ place: String) throws {
        let live = store.liveTasks()
        var seen: Set<UInt64> = []
        for entry in live.runs {
            try store.withPayloads(of: entry.run, indexes: entry.live) { index, payload in
                let id = entry.run.id(at: index).rawValue
                seen.insert(id)
                let expected = liveTasks[id]
                #expect(expected?.parent == entry.run.parent.rawValue, "task \(id), \(place)")
                #expect(expected?.label == entry.run.label.rawValue, "task \(id), \(place)")
                #expect(expected?.payload == payload.withUnsafeBytes { Array($0) }, "task \(id), \(place)")
            }
        }
        #expect(seen.symmetricDifference(liveTasks.keys).isEmpty, "\(place)")
        for (task, value) in handovers { #expect(try store.handover(of: TaskID(task)) == value, "\(place)") }
        for (parent, expected) in ended {
            let snapshot = try store.children(of: TaskID(parent))
            #expect(snapshot.counts.total == UInt64(expected.count), "\(place)")
            let isSame = try readAll(snapshot) == expected
            #expect(isSame, "children of \(parent), \(place)")
        }
        for (parent, children) in liveChildren where !children.isEmpty {
            #expect(store.status(of: TaskID(parent))?.liveChildren == UInt64(children.count), "\(place)")
        }
    }
}

/// All children of a snapshot as values, with the order of their sequences checked.
func readAll(_ snapshot: ChildSnapshot) throws -> [ExpectedChild] {
    var cursor = snapshot.makeCursor()
    var block = ChildBlock()
    var children: [ExpectedChild] = []
    var last: UInt64 = 0
    while try cursor.next(into: &block) {
        for index in 0..<block.count {
            #expect(block.sequence(at: index) > last)
            last = block.sequence(at: index)
            children.append(
                ExpectedChild(
                    id: block.id(at: index).rawValue, kind: block.kind(at: index),
                    label: block.label(at: index).rawValue, attempts: block.attempts(at: index),
                    startedAt: block.startedAt(at: index).rawValue, endedAt: block.endedAt(at: index).rawValue,
                    value: block.withValue(at: index) { $0.withUnsafeBytes { Array($0) } }))
        }
    }
    return children
}
