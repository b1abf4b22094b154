// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// Makes a store with a bit of everything in random order and sizes: what two readers are to agree on.
struct RandomStore {
    private var random: SeededGenerator
    private var configuration = MemoStore.Configuration()
    /// Live tasks with their parents, and how many live children each has.
    private var parents: [UInt64: UInt64] = [:]
    private var children: [UInt64: Int] = [:]
    private var endedRoots: [UInt64] = []
    private var names: UInt64 = 0
    private var clock: Int64 = 1_700_000_000_000

    /// Whether tasks are staged too.
    private let stages: Bool

    init(seed: UInt64, stages: Bool = true) {
        self.stages = stages
        random = SeededGenerator(seed: seed)
        configuration.logSegmentBytes = 32 << 10
        configuration.logReserveBytes = 4 << 10
        configuration.reserveBytes = 0
        configuration.indexSegmentBytes = 24 << 10
        configuration.openBlockBytes = 8 << 10
        configuration.checkpointBytes = 48 << 10
    }

    /// Makes a store in a directory; it stays open.
    mutating func make(
        at directory: FilePath, on fileSystem: any FileSystem = PosixFileSystem(), steps: Int = 150
    ) async throws -> MemoStore {
        var store = try await MemoStore.open(
            at: directory, configuration: configuration, fileSystem: fileSystem)
        var labels = [try await store.label(for: "plain"), try await store.label(for: "größer")]
        for step in 0..<steps {
            if step == steps / 2 { _ = try await store.compact() }
            if step == steps / 3 || step == steps * 3 / 4 {
                try await store.close()
                store = try await MemoStore.open(
                    at: directory, configuration: configuration, fileSystem: fileSystem)
                labels.append(try await store.label(for: "label \(step)"))
            }
            var transaction = Transaction()
            var spawned: [UInt64] = []
            end(into: &transaction)
            note(into: &transaction)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                spawned += spawn(labels.randomElement(using: &random)!, into: &transaction)
            }
            let stage = store.makeStage()
            let commitsStage = Int.random(in: 0..<6, using: &random) == 0 && stages
            if Int.random(in: 0..<3, using: &random) == 0 && stages || commitsStage {
                var staged = Transaction()
                let stagedParents = spawn(labels[0], onDuplicate: .skip, into: &staged)
                try await stage.append(spawns: staged)
                if commitsStage {
                    transaction.commit(stage)
                    spawned += stagedParents
                }
            }
            let commit = try await store.append(transaction, durability: .buffered)
            if Int.random(in: 0..<8, using: &random) == 0, !endedRoots.isEmpty {
                let root = endedRoots.remove(at: Int.random(in: 0..<endedRoots.count, using: &random))
                try await store.dropTree(TaskID(root))
            }
            let ids = (commit.spawned + commit.staged).joined()
            let absent = Set(commit.absent)
            for (id, parent) in zip(ids, spawned) where !absent.contains(TaskID(id)) {
                parents[id] = parent
                children[parent, default: 0] += 1
            }
        }
        return store
    }

    private mutating func bytes() -> [UInt8] {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: []
        case 1: random.bytes(Int.random(in: 1...5000, using: &random))
        case 2...5: Array(repeating: 7, count: Int.random(in: 1...300, using: &random))
        default: random.bytes(24)
        }
    }

    private mutating func end(into transaction: inout Transaction) {
        clock += Int64.random(in: -3...900, using: &random)
        for task in parents.keys.sorted() where children[task, default: 0] == 0 {
            guard Int.random(in: 0..<4, using: &random) > 0, let parent = parents[task] else { continue }
            let isPlain = Int.random(in: 0..<5, using: &random) > 0
            let kind = isPlain ? .completed : OutcomeKind.allCases.randomElement(using: &random)!
            let value = bytes()
            let attachment = random.chance(1, in: kind == .completed ? 20 : 2) ? bytes() : []
            transaction.end(
                .init(
                    task: TaskID(task), parent: TaskID(parent), label: Label(rawValue: UInt32(isPlain ? 1 : 2)),
                    kind: kind, attempts: isPlain ? 1 : UInt32.random(in: 0...9, using: &random),
                    startedAt: Timestamp(milliseconds: clock - (isPlain ? 1 : 77)),
                    endedAt: Timestamp(milliseconds: clock)), attachment: attachment
            ) { $0.append(contentsOf: value) }
            parents[task] = nil
            children[parent]! -= 1
            if parent == 0 { endedRoots.append(task) }
        }
    }

    private mutating func note(into transaction: inout Transaction) {
        guard let task = parents.keys.sorted().randomElement(using: &random).map({ TaskID($0) }) else { return }
        switch Int.random(in: 0..<10, using: &random) {
        case 0: transaction.advance(task, to: UInt8.random(in: 0...3, using: &random), value: bytes())
        case 1: transaction.noteAttempt(task, attempts: 3, notBefore: Timestamp(milliseconds: clock), error: bytes())
        case 2:
            transaction.requestCancel(task, as: random.pick([.cancelled, .superseded, .expired, .dependencyFailed]))
        case 3: transaction.noteCrash(task, count: 2)
        case 4: transaction.noteInFlight(parents.keys.sorted().prefix(5).map { TaskID($0) })
        case 6: transaction.keep(task, slot: random.pick([0, 1, 2, 255]), bytes())
        case 7, 8:
            let name = random.pick(["a", "ä", "a/1", "a/\u{10FFFF}", "b"])
            transaction.set(name, to: random.chance(1, in: 4) ? nil : bytes())
        case 5: transaction.setPriority(task, UInt8.random(in: 0...255, using: &random))
        default: break
        }
    }

    /// Returns the parent of each new task.
    private mutating func spawn(
        _ label: Label, onDuplicate policy: DuplicatePolicy = .replace, into transaction: inout Transaction
    ) -> [UInt64] {
        let isRoot = Int.random(in: 0..<3, using: &random) == 0
        let parent = isRoot ? 0 : parents.keys.sorted().randomElement(using: &random) ?? 0
        let count = Int.random(in: 0..<8, using: &random) == 0 ? 200 : Int.random(in: 1...20, using: &random)
        let attributes = random.bytes(random.pick([0, 0, 1, 40]))
        // So few in a transaction that none of them has the same key twice.
        let isKeyed = count <= 20 && random.chance(1, in: 3)
        for _ in 0..<count {
            let payload = bytes()
            names += isKeyed ? 1 : 0
            transaction.spawn(
                under: TaskID(parent), label: label, priority: isRoot ? 9 : 128, attributes: attributes,
                key: isKeyed ? TaskKey(first: names % 97, second: 7) : nil, onDuplicate: policy,
                at: Timestamp(milliseconds: clock)
            ) { $0.append(contentsOf: payload) }
        }
        return Array(repeating: parent, count: count)
    }
}
