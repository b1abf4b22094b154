// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// What a store accepts, what it refuses, and that a refusal leaves nothing behind (T1, T6, S5).
@Suite struct TransactionTests {
    let files = SimulatedFileSystem()

    func open(_ change: (inout MemoStore.Configuration) -> Void = { _ in }) async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        change(&configuration)
        return try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    /// A root task with two children, of which one has a child.
    func family(_ store: MemoStore) async throws -> (root: UInt64, children: [UInt64], grandchild: UInt64) {
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let children = try await store.append(.spawning(2, under: root)).spawned.flatMap { Array($0) }
        let grandchild = try await store.append(.spawning(1, under: children[0])).spawned[0].lowerBound
        return (root, children, grandchild)
    }

    @Test("T6: a transaction that breaks a rule is refused whole, and its batch mates are committed")
    func refusals() async throws {
        let store = try await open()
        let (root, children, grandchild) = try await family(store)
        var cases: [(name: String, StoreError.Code, Transaction)] = []
        func add(_ name: String, _ code: StoreError.Code = .rejected, _ fill: (inout Transaction) -> Void) {
            // Around what is refused, everything that alone would be accepted.
            var transaction = Transaction()
            transaction.addSpawns(2, under: root)
            transaction.end(.init(grandchild, under: children[0])) { $0.append(1) }
            transaction.requestCancel(TaskID(root))
            fill(&transaction)
            transaction.addSpawns(1)
            cases.append((name, code, transaction))
        }
        add("double outcome") { $0.end(.init(grandchild, under: children[0])) }
        add("unknown task") { $0.end(.init(9999, under: 0)) }
        add("the task of no parent") { $0.end(.init(0, under: 0)) }
        add("unknown parent") { $0.addSpawns(1, under: 9999) }
        add("live children") { $0.end(.init(root, under: 0)) }
        add("wrong parent") { $0.end(.init(children[1], under: children[0])) }
        add("spawn under a task that ends in the same transaction") {
            $0.end(.init(children[1], under: root))
            $0.addSpawns(1, under: children[1])
        }
        add("advance of an unknown task") { $0.advance(TaskID(9999), to: 1, value: []) }
        add("attempt of an unknown task") {
            $0.noteAttempt(TaskID(0), attempts: 1, notBefore: Timestamp(milliseconds: 0), error: [])
        }
        add("cancel of an unknown task") { $0.requestCancel(TaskID(.max)) }
        add("crash of an unknown task") { $0.noteCrash(TaskID(9999), count: 1) }
        let tooLong = [UInt8](repeating: 0, count: Limits.valueBytes + 1)
        add("memo too large", .tooLarge) { transaction in
            transaction.end(.init(children[1], under: root)) { $0.append(contentsOf: tooLong) }
        }
        add("payload too large", .tooLarge) { transaction in
            transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) {
                $0.append(contentsOf: tooLong)
            }
        }
        add("hand-over too large", .tooLarge) { $0.advance(TaskID(root), to: 1, value: tooLong) }
        add("error too large", .tooLarge) {
            $0.noteAttempt(TaskID(root), attempts: 1, notBefore: Timestamp(milliseconds: 0), error: tooLong)
        }
        add("in-flight note too large", .tooLarge) {
            $0.noteInFlight([TaskID](repeating: TaskID(root), count: Limits.valueBytes / 8 + 1))
        }
        for (name, code, transaction) in cases {
            let before = try StoreFacts(store)
            let error = await store.failure(of: transaction)
            #expect(error?.code == code, "\(name)")
            expectSame(try StoreFacts(store), before, name)
        }
        // All of them in one batch, each between two that are good.
        var before = try StoreFacts(store)
        let batch = cases.flatMap { [$0.2, Transaction.spawning(1, under: root)] }
        let results = await store.appendTogether(batch)
        for (index, result) in results.enumerated() {
            #expect(result.code == (index % 2 == 0 ? cases[index / 2].1 : nil), "\(cases[index / 2].name)")
        }
        var after = try StoreFacts(store)
        #expect(after.nextID == before.nextID + UInt64(cases.count))
        #expect(after.parents[root]?.liveChildren == UInt64(2 + cases.count))
        before.parents[root] = nil
        after.parents[root] = nil
        before.parents[0] = nil
        after.parents[0] = nil
        after.live = after.live.filter { $0.key < before.nextID }
        after.nextID = before.nextID
        expectSame(after, before, "batch mates of what was refused")
        try await store.close()
    }

    @Test("T6: what was refused in a batch that could not be written is told that it was refused")
    func refusedInAFailedBatch() async throws {
        let store = try await open()
        files.faults = .failing(.synchronize, at: 1)
        let results = await store.appendTogether([.spawning(1), .ending([77], under: 0), .spawning(2)])
        #expect(results.map(\.code) == [.indeterminate, .rejected, .indeterminate])
        #expect(store.totals.live == 0)
        try? await store.close()
    }

    @Test("T6: a parent ends in one batch with its last children, in any order of their transactions, or is refused")
    func parentWithItsChildren() async throws {
        let store = try await open()
        let (root, children, grandchild) = try await family(store)
        var all = Transaction.ending([grandchild], under: children[0])
        all.append(.ending([children[0]], under: root))
        let early = await store.appendTogether([.ending([children[0]], under: root), all])
        #expect(early.map(\.code) == [.rejected, nil])
        let rest = await store.appendTogether([
            .ending([children[1]], under: root), .spawning(1, under: root), .ending([root], under: 0),
        ])
        #expect(rest.map(\.code) == [nil, nil, .rejected])
        let last = store.liveTasks().runs[1].run.firstID.rawValue
        let end = await store.appendTogether([
            .ending([last], under: root), .ending([root], under: 0), .spawning(1, under: root),
        ])
        #expect(end.map(\.code) == [nil, nil, .rejected])
        #expect(try StoreFacts.children(of: TaskID(root), in: store).map(\.id) == [children[0], children[1], last])
        #expect(store.status(of: TaskID(root)) == nil)
        #expect(store.totals.live == 0)
        #expect(store.totals.endedRoots == 1)
        try await store.close()
    }

    @Test("A task keeps what it was spawned with: payload, priority and time, also beside others in its batch")
    func keepsWhatWasSpawned() async throws {
        let store = try await open()
        var transaction = Transaction()
        for (priority, time) in [(128, 10), (128, 20), (1, 10), (128, 10), (255, Int64.min), (255, .max)]
            as [(UInt8, Int64)]
        {
            transaction.spawn(
                under: .none, label: Label(rawValue: 3), priority: priority, at: Timestamp(milliseconds: time)
            ) { $0.append(contentsOf: [priority, UInt8(truncatingIfNeeded: time)]) }
        }
        let commit = try await store.append(transaction)
        let ids = commit.spawned.flatMap { Array($0) }
        let expected: [(UInt8, Int64)] = [(128, 10), (128, 20), (1, 10), (128, 10), (255, .min), (255, .max)]
        let facts = try StoreFacts(store)
        for (id, (priority, time)) in zip(ids, expected) {
            #expect(facts.live[id]?.priority == priority)
            #expect(facts.live[id]?.submittedAt == time)
            #expect(facts.live[id]?.payload == Digest([priority, UInt8(truncatingIfNeeded: time)]))
        }
        #expect(ids.count == 6 && Set(ids).count == 6)
        try await store.close()
    }

    @Test("S4: a spawn that found no space leaves no trace at its parent")
    func noSpaceLeavesNoParent() async throws {
        let store = try await open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        files.faults = .failing(.write, at: 1, with: .noSpace)
        #expect(await store.failure(of: .spawning(4, under: root))?.code == .noSpace)
        #expect(store.status(of: TaskID(root)) == nil)
        #expect(store.liveTasks().parents.isEmpty)
        try await store.append(.spawning(4, under: root))
        #expect(store.status(of: TaskID(root))?.liveChildren == 4)
        try await store.close()
    }

    @Test("T1: ids are handed out once, across refusals, reopenings and crashes")
    func idsAreUnique() async throws {
        var seen: Set<UInt64> = []
        var files = SimulatedFileSystem()
        for round in 0..<12 {
            let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
            for count in [1, 70, 3] {
                let ids = try await store.append(.spawning(count)).spawned.flatMap { Array($0) }
                #expect(ids.count == count && seen.isDisjoint(with: ids))
                seen.formUnion(ids)
                // A run of its own, whose end makes the highest ids known of the store disappear.
                try await store.append(.ending(ids, under: 0))
                _ = await store.failure(of: .ending([ids[0]], under: 0))
            }
            if round % 3 == 0 {
                try await store.close()
            } else {
                let remains = files.crash(keeping: .random(seed: UInt64(round), tearing: .bytes))
                await Workload.abandon(store, on: files)
                files = remains
            }
        }
        #expect(seen.count == 12 * 74)
    }

    @Test("Labels and names survive, with their numbers, and are given once", arguments: [true, false])
    func labelsSurvive(closed: Bool) async throws {
        var store = try await open()
        let names = ["a", "ä", String(repeating: "n", count: Limits.nameBytes), "b"]
        var labels: [Label] = []
        for name in names + names { labels.append(try await store.label(for: name)) }
        #expect(Array(labels[..<4]) == Array(labels[4...]) && Set(labels).count == 4)
        for name in ["", String(repeating: "n", count: Limits.nameBytes + 1)] {
            await #expect(throws: StoreError.self) { try await store.label(for: name) }
        }
        var files = files
        if closed {
            try await store.close()
        } else {
            let remains = files.crash(keeping: .dropAll)
            await Workload.abandon(store, on: files)
            files = remains
        }
        store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        for (name, label) in zip(names, labels) {
            #expect(store.knownLabel(for: name) == label)
            #expect(store.name(of: label) == name)
        }
        #expect(Set(labels).contains(try await store.label(for: "c")) == false)
        try await store.close()
    }

    @Test("Callers that ask for one new name at once get one label")
    func oneLabelForAll() async throws {
        let store = try await open()
        let labels = try await withThrowingTaskGroup(of: Label.self) { group in
            for index in 0..<40 { group.addTask { try await store.label(for: "name \(index % 4)") } }
            return try await group.reduce(into: [Label: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(labels.values.sorted() == [10, 10, 10, 10])
        try await store.close()
    }

    @Test("T14: the last in-flight note is there after a crash, without the tasks that ended, and not after a close")
    func inFlight() async throws {
        let store = try await open()
        let ids = try await store.append(.spawning(4)).spawned[0].map { TaskID($0) }
        var note = Transaction()
        note.noteInFlight([ids[3]])
        note.noteInFlight(Array(ids[..<3]))
        try await store.append(note)
        try await store.append(.ending([ids[1].rawValue], under: 0))
        let crashed = files.crash(keeping: .dropAll)
        var reopened = try await MemoStore.labelled(at: "/store", fileSystem: crashed)
        #expect(reopened.liveTasks().inFlight == [ids[0], ids[2]])
        try await reopened.close()
        reopened = try await MemoStore.labelled(at: "/store", fileSystem: crashed)
        #expect(reopened.liveTasks().inFlight.isEmpty)
        try await reopened.close()
        try await store.close()
    }

    @Test("An encode closure that throws adds nothing")
    func throwingEncode() async throws {
        struct Oops: Error {}
        var transaction = Transaction()
        transaction.addSpawns(1)
        #expect(throws: Oops.self) {
            try transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                $0.append(1)
                throw Oops()
            }
        }
        #expect(throws: Oops.self) {
            try transaction.end(.init(1, under: 0)) {
                $0.append(1)
                throw Oops()
            }
        }
        #expect(transaction.spawnCount == 1 && transaction.outcomeCount == 0)
        #expect(transaction.payloads.count == 4 && transaction.values.count == 0)
    }

    @Test("The observer hears of every commit in order, before the caller, with parents as they are then")
    func observer() async throws {
        let store = try await open()
        let recorder = Recorder()
        store.setObserver(recorder)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        #expect(recorder.commits.count == 1)
        let children = try await store.append(.spawning(3, under: root)).spawned[0]
        var failing = Transaction()
        failing.end(.init(children.lowerBound, under: root, .failed)) { $0.append(9) }
        try await store.append(failing)
        try await store.append(.ending(children.dropFirst(), under: root))
        try await store.append(.ending([root], under: 0))
        let commits = recorder.commits
        #expect(commits.map { $0.spawned.reduce(0) { $0 + Int($1.count) } } == [1, 3, 0, 0, 0])
        #expect(commits.map { $0.touched.first?.liveChildren } == [nil, 3, 2, 0, nil])
        #expect(commits[2].touched.first?.firstFailure == TaskID(children.lowerBound))
        #expect(commits[4].endedRoots.map(\.id) == [TaskID(root)])
        try await store.close()
    }
}
