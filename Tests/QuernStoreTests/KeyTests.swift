// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Keys are unique among live tasks, decided in commit order, and free again with the outcome (T11).
@Suite struct KeyTests {
    let files = SimulatedFileSystem()

    func open(_ files: SimulatedFileSystem) async throws -> MemoStore {
        try await MemoStore.labelled(at: "/store", fileSystem: files)
    }

    static func key(_ name: Int) -> TaskKey { TaskKey(first: UInt64(name), second: 1) }

    static func spawn(
        _ name: Int?, _ policy: DuplicatePolicy = .skip, under parent: UInt64 = 0, payload: UInt8 = 0,
        into transaction: inout Transaction
    ) {
        transaction.spawn(
            under: TaskID(parent), label: Label(rawValue: 1), key: name.map(Self.key), onDuplicate: policy,
            at: Timestamp(milliseconds: 1)
        ) { $0.append(payload) }
    }

    static func spawning(_ name: Int?, _ policy: DuplicatePolicy = .skip, under parent: UInt64 = 0) -> Transaction {
        var transaction = Transaction()
        spawn(name, policy, under: parent, into: &transaction)
        return transaction
    }

    @Test("SipHash-2-4-128 gives its authors' vectors", arguments: [0, 1, 8, 15, 63])
    func vectors(count: Int) {
        let expected: [Int: [UInt64]] = [
            0: [0xE6A8_25BA_047F_81A3, 0x9302_55C7_1472_F66D], 1: [0x44AF_996B_D8C1_87DA, 0x45FC_229B_1159_7634],
            8: [0x61F5_5862_BAA9_623B, 0xB497_14F3_64E2_830F], 15: [0x11A8_B033_99E9_9354, 0xD9C3_CF97_0FEC_087E],
            63: [0x4A83_502F_77D1_5051, 0x7CBD_3F97_9A06_3E50],
        ]
        let input = (0..<count).map { UInt8($0) }
        let hash = input.withUnsafeBytes { SipHash.hash($0, 0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908) }
        #expect([hash.first, hash.second] == expected[count])
    }

    @Test("A key says scope and text, and is another one in another store")
    func scopes() async throws {
        let store = try await open(files)
        let other = try await open(SimulatedFileSystem())
        func key(_ scope: TaskKey.Scope, _ text: String, _ store: MemoStore) -> TaskKey {
            TaskKey(scope: scope, text: text, secret: store.keySecret)
        }
        let keys: Set = [
            key(.children(of: TaskID(1)), "a", store), key(.children(of: TaskID(2)), "a", store),
            key(.roots(Label(rawValue: 1)), "a", store), key(.roots(Label(rawValue: 1)), "", store),
            key(.roots(Label(rawValue: 1)), "a", other),
        ]
        #expect(keys.count == 5)
        #expect(key(.roots(Label(rawValue: 1)), "a", store) == key(.roots(Label(rawValue: 1)), "a", store))
        for store in [store, other] { try await store.close() }
    }

    @Test("Skip, replace and reject do what they say, and an ended task's key is free")
    func policies() async throws {
        let store = try await open(files)
        let recorder = Recorder()
        store.setObserver(recorder)
        #expect(try await store.append(Self.spawning(1)).disposition(of: 0) == .inserted(TaskID(1)))
        let skipped = try await store.append(Self.spawning(1, .skip))
        #expect(skipped.disposition(of: 0) == .duplicate(of: TaskID(1)) && skipped.spawned.isEmpty)
        let rejected = await store.failure(of: Self.spawning(1, .reject))
        #expect(rejected?.code == .duplicateKey && rejected?.task == TaskID(1))
        #expect(store.totals.live == 1 && store.task(forKey: Self.key(1)) == TaskID(1))
        let replaced = try await store.append(Self.spawning(1, .replace))
        #expect(replaced.disposition(of: 0) == .replaced(TaskID(1), by: TaskID(2)) && replaced.spawned == [2..<3])
        #expect(store.task(forKey: Self.key(1)) == TaskID(2))
        #expect(store.liveTasks().details[TaskID(1)]?.cancel == .superseded)
        #expect(recorder.commits.last?.cancels == [TaskID(1): .superseded])
        // The end of the one that lost it leaves the key alone.
        try await store.append(.ending([1], under: 0))
        #expect(store.task(forKey: Self.key(1)) == TaskID(2))
        try await store.append(.ending([2], under: 0))
        #expect(store.task(forKey: Self.key(1)) == nil && store.committed.state.keys.isEmpty)
        #expect(try await store.append(Self.spawning(1, .reject)).disposition(of: 0) == .inserted(TaskID(3)))
        var endAndSpawn = Transaction.ending([3], under: 0)
        Self.spawn(1, .reject, into: &endAndSpawn)
        #expect(try await store.append(endAndSpawn).disposition(of: 0) == .inserted(TaskID(4)))
        try await store.close()
    }

    @Test("A skipped spawn of a better priority gives it to the live task, and one that is ignored does not")
    func upgrades() async throws {
        let store = try await open(files)
        let recorder = Recorder()
        store.setObserver(recorder)
        func spawning(_ priority: UInt8, _ policy: DuplicatePolicy = .skip) -> Transaction {
            var transaction = Transaction()
            transaction.spawn(
                under: .none, label: Label(rawValue: 1), priority: priority, key: Self.key(1), onDuplicate: policy,
                at: Timestamp(milliseconds: 1)
            ) { _ in }
            return transaction
        }
        func append(_ priority: UInt8, _ policy: DuplicatePolicy = .skip) async throws -> SpawnDisposition {
            try await store.append(spawning(priority, policy)).disposition(of: 0)
        }
        let task = TaskID(1)
        #expect(try await append(100) == .inserted(task))
        for priority: UInt8 in [101, 100] { #expect(try await append(priority) == .duplicate(of: task)) }
        #expect(try await append(9, .ignore) == .duplicate(of: task) && store.detail(of: task)?.priority == nil)
        #expect(try await append(90) == .upgraded(task) && store.detail(of: task)?.priority == 90)
        #expect(recorder.commits.last?.priorities == [task: 90])
        #expect(try await append(90) == .duplicate(of: task))
        // In one batch, in its order: also on a task that it spawns, and on one that a stage brings.
        let results = await store.appendTogether([
            spawning(80), Transaction.ending([1], under: 0), spawning(70), spawning(60), spawning(65),
        ])
        let commits = try results.map { try $0.get() }
        #expect(
            [0, 2, 3, 4].map { commits[$0].disposition(of: 0) } == [
                .upgraded(task), .inserted(TaskID(2)), .upgraded(TaskID(2)), .duplicate(of: TaskID(2)),
            ])
        #expect(store.detail(of: TaskID(2))?.priority == 60)
        let stage = store.makeStage()
        try await stage.append(spawns: spawning(50))
        var transaction = Transaction()
        transaction.commit(stage)
        #expect(try await store.append(transaction).absent.count == 1)
        #expect(store.detail(of: TaskID(2))?.priority == 50)
        try await store.close()
        let again = try await open(files)
        #expect(again.detail(of: TaskID(2))?.priority == 50)
        try await again.close()
    }

    @Test("Of a transaction's spawns with one key the last one counts alone, beside others with and without keys")
    func lastWins() async throws {
        let store = try await open(files)
        try await store.append(Self.spawning(9))
        var transaction = Transaction()
        for (name, payload) in [(1, 10), (nil, 11), (2, 12), (1, 13), (9, 14), (9, 15), (3, 16)] as [(Int?, UInt8)] {
            Self.spawn(name, payload: payload, into: &transaction)
        }
        let commit = try await store.append(transaction)
        let ids = commit.spawned.flatMap { Array($0) }
        #expect(ids.count == 4)
        let facts = try StoreFacts(store)
        #expect(ids.map { facts.live[$0]?.payload } == [11, 12, 13, 16].map { Digest([$0]) })
        let tasks = ids.map { TaskID($0) }
        #expect(
            (0..<7).map { commit.disposition(of: $0) } == [
                .duplicate(of: tasks[2]), .inserted(tasks[0]), .inserted(tasks[1]), .inserted(tasks[2]),
                .duplicate(of: TaskID(1)), .duplicate(of: TaskID(1)), .inserted(tasks[3]),
            ])
        try await store.close()
    }

    @Test("T6: what a rejected key refuses leaves no trace, and the parent's children are counted right after a skip")
    func countsAfterSkips() async throws {
        let store = try await open(files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        try await store.append(Self.spawning(5, under: root))
        var refused = Transaction()
        refused.requestCancel(TaskID(root))
        Self.spawn(6, .replace, under: root, into: &refused)
        Self.spawn(5, .reject, under: root, into: &refused)
        let before = try StoreFacts(store)
        #expect(await store.failure(of: refused)?.code == .duplicateKey)
        expectSame(try StoreFacts(store), before, "refused")
        // A skip under the parent in one batch with the end of its last child, and then its own.
        let results = await store.appendTogether([
            Self.spawning(5, under: root), .ending([root + 1], under: root), .ending([root], under: 0),
        ])
        #expect(results.map(\.code) == [nil, nil, nil])
        #expect(store.totals.live == 0)
        try await store.close()
    }

    @Test("S4: a batch that was not written gives no key and takes none")
    func notWritten() async throws {
        let store = try await open(files)
        try await store.append(Self.spawning(1))
        files.faults = .failing(.write, at: 1, with: .noSpace)
        #expect(await store.failure(of: Self.spawning(1, .replace))?.code == .noSpace)
        #expect(store.task(forKey: Self.key(1)) == TaskID(1) && store.liveTasks().details.isEmpty)
        #expect(try await store.append(Self.spawning(1, .replace)).spawned.count == 1)
        try await store.close()
    }
}
