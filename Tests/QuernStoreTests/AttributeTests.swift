// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What tasks that are spawned together have in common stays with them while one of them is live (S5, S14).
@Suite struct AttributeTests {
    let files = SimulatedFileSystem()

    func open(_ files: SimulatedFileSystem, logBytes: Int = 64 << 20) async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = logBytes
        configuration.checkpointBytes = logBytes
        return try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    static func spawn(
        _ count: Int, under parent: UInt64 = 0, _ attributes: [UInt8], into transaction: inout Transaction
    ) {
        for index in 0..<count {
            transaction.spawn(
                under: TaskID(parent), label: Label(rawValue: 1), attributes: attributes,
                at: Timestamp(milliseconds: 1)
            ) { $0.append(UInt8(index & 0xFF)) }
        }
    }

    /// The attributes of each live task.
    static func attributes(_ tasks: LiveTasks) -> [UInt64: [UInt8]] {
        var found: [UInt64: [UInt8]] = [:]
        for entry in tasks.runs {
            for index in 0..<Int(entry.run.count) where entry.live & (1 << UInt64(index)) != 0 {
                found[entry.run.id(at: index).rawValue] = tasks.attributes[entry.run.firstID] ?? []
            }
        }
        return found
    }

    @Test("Tasks with other attributes are runs of their own, and a crash, a checkpoint and a reader keep them")
    func survive() async throws {
        var store = try await open(files)
        let recorder = Recorder()
        store.setObserver(recorder)
        var transaction = Transaction()
        let all: [[UInt8]] = [[], [1], [1, 2], [], [UInt8](repeating: 7, count: Limits.attributeBytes)]
        for attributes in all { Self.spawn(70, attributes, into: &transaction) }
        let stage = store.makeStage()
        var staged = Transaction()
        for attributes in all { Self.spawn(3, attributes, into: &staged) }
        try await stage.append(spawns: staged)
        let commit = try await store.append(transaction)
        var expected: [UInt64: [UInt8]] = [:]
        for (attributes, range) in zip(all, commit.spawned) { for id in range { expected[id] = attributes } }
        #expect(commit.spawned.map(\.count) == [70, 70, 70, 70, 70])
        #expect(Self.attributes(store.liveTasks()) == expected)

        // Through a checkpoint with the stage open, and read beside the writer.
        _ = try await store.compact()
        let reader = try await MemoReader.open(at: "/store", fileSystem: files)
        let ids = try await store.append(StagedSpawnTests.commit(stage)).staged[0]
        // Equal attributes share a run: the two that have none.
        for (position, id) in ids.enumerated() {
            expected[id] = position < 6 ? [] : all[[1, 2, 4][(position - 6) / 3]]
        }
        #expect(Self.attributes(store.liveTasks()) == expected)
        _ = try await reader.refresh()
        #expect(Self.attributes(reader.liveTasks()) == expected)
        for entry in store.liveTasks().runs {
            let attributes = expected[entry.run.firstID.rawValue]
            #expect(store.attributes(of: entry.run) == attributes && reader.attributes(of: entry.run) == attributes)
        }
        var told: [TaskID: [UInt8]] = [:]
        for changes in recorder.commits { told.merge(changes.attributes) { $1 } }
        #expect(told == store.liveTasks().attributes)

        let crashed = files.crash(keeping: .dropAll)
        for _ in 0..<2 {
            let reopened = try await open(crashed)
            #expect(Self.attributes(reopened.liveTasks()) == expected)
            try await reopened.close()
        }
        try await store.close()
        store = try await open(files)
        #expect(Self.attributes(store.liveTasks()) == expected)
        try await store.close()
    }

    @Test("Attributes go with the last task of their run, and none cost nothing")
    func freed() async throws {
        let store = try await open(files)
        var transaction = Transaction()
        Self.spawn(3, [5], into: &transaction)
        Self.spawn(3, [], into: &transaction)
        let ids = try await store.append(transaction).spawned
        try await store.append(.ending(ids[0].dropLast(), under: 0))
        #expect(store.liveTasks().attributes.count == 1)
        try await store.append(.ending(ids[0].suffix(1), under: 0))
        #expect(store.liveTasks().attributes.isEmpty && store.committed.state.attributes.isEmpty)
        try await store.close()
    }

    @Test("S15: a run that is written once more keeps its attributes")
    func relocated() async throws {
        let store = try await open(files, logBytes: 1 << 10)
        var transaction = Transaction()
        Self.spawn(2, [8, 9], into: &transaction)
        let first = try await store.append(transaction).spawned[0]
        let place = store.run(of: TaskID(first.lowerBound))
        for _ in 0..<60 {
            let ids = try await store.append(.spawning(20)).spawned[0]
            try await store.append(.ending(ids, under: 0))
        }
        await store.rest()
        #expect(store.run(of: TaskID(first.lowerBound)) != place, "it was never moved")
        let crashed = files.crash(keeping: .dropAll)
        let reopened = try await open(crashed)
        #expect(Self.attributes(reopened.liveTasks()) == [1: [8, 9], 2: [8, 9]])
        try await reopened.close()
        try await store.close()
    }

    @Test("F5: attributes above the limit are refused, and nothing of their transaction counts")
    func tooLarge() async throws {
        let store = try await open(files)
        for count in [Limits.attributeBytes + 1, 1 << 16, 1 << 20] {
            var transaction = Transaction.spawning(1)
            Self.spawn(1, [UInt8](repeating: 1, count: count), into: &transaction)
            #expect(await store.failure(of: transaction)?.code == .tooLarge)
            let stage = store.makeStage()
            #expect(await StagedSpawnTests.failure(stage, transaction)?.code == .tooLarge)
        }
        #expect(store.totals.live == 0)
        try await store.close()
    }

    @Test("A transaction that is cut or rolled back keeps the attributes of what is left")
    func marks() {
        var transaction = Transaction()
        Self.spawn(2, [1, 2], into: &transaction)
        let mark = transaction.mark
        Self.spawn(1, [1, 2], into: &transaction)
        Self.spawn(1, [3], into: &transaction)
        var cut = transaction
        let before = cut.removeAll(before: mark)
        #expect(before.spawnGroups.map(\.attributes) == [[1, 2]] && before.attributeBytes == 2)
        #expect(cut.spawnGroups.map(\.attributes) == [[1, 2], [3]] && cut.attributeBytes == 3)
        transaction.rollback(to: mark)
        #expect(transaction.spawnGroups == before.spawnGroups && transaction.attributeBytes == 2)
    }
}
