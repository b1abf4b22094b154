// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// Spawns that are in the log before their transaction (T6, S5). Crashes and faults at each file call are in
/// ``CrashTests`` and ``StoreFaultTests``, whose workload stages too.
@Suite struct StagedSpawnTests {
    let files = SimulatedFileSystem()

    /// - Parameter logBytes: small, so that segments rotate and checkpoints are written.
    func open(logBytes: Int = 64 << 20) async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = logBytes
        configuration.checkpointBytes = logBytes
        return try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
    }

    static func commit(_ stage: SpawnStage) -> Transaction {
        var transaction = Transaction()
        transaction.commit(stage)
        return transaction
    }

    static func state(_ store: MemoStore) -> StoreState { store.shared.committed.withLock { $0.state } }

    static func logSegments(_ files: SimulatedFileSystem) throws -> [String] {
        try files.list("/store").filter { $0.hasPrefix("log-") }.sorted()
    }

    static func failure(_ stage: SpawnStage, _ spawns: Transaction) async -> StoreError? {
        do throws(StoreError) {
            try await stage.append(spawns: spawns)
            return nil
        } catch { return error }
    }

    @Test("S4: a stage that is cancelled on a full disk gives its log segments back once there is space")
    func cancelledWithoutSpace() async throws {
        let store = try await open(logBytes: 1 << 10)
        let stage = store.makeStage()
        try await stage.append(spawns: .spawning(2000))
        files.faults = .failing(.write, at: 1, with: .noSpace, .fromThenOn)
        stage.cancel()
        #expect(await store.failure(of: .spawning(1))?.code == .noSpace)
        files.faults = FaultPlan()
        #expect(Self.state(store).stages.isEmpty)
        #expect(await Self.failure(stage, .spawning(1))?.code == .rejected)
        for _ in 0..<40 { try await store.append(.spawning(1)) }
        try await store.close()
    }

    @Test("T6: what is staged is seen by nobody until its commit, then all of it, under ids that follow its positions")
    func visibleAtOnce() async throws {
        var store = try await open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let stage = store.makeStage()
        var first = Transaction()
        for number in 0..<100 as Range<UInt8> {
            // Two interleaved groups, and a root task.
            first.spawn(
                under: TaskID(root), label: Label(rawValue: UInt32(1 + number % 2)), priority: number % 2,
                at: Timestamp(milliseconds: 7)
            ) { $0.append(number) }
        }
        first.spawn(under: .none, label: Label(rawValue: 3), at: Timestamp(milliseconds: 8)) { $0.append(200) }
        var before = try StoreFacts(store)
        let positions = try await stage.append(spawns: first)
        expectSame(try StoreFacts(store), before, "one part staged")
        let other = try await store.append(.spawning(3, under: root)).spawned[0]
        before = try StoreFacts(store)
        let more = try await stage.append(spawns: .spawning(5, under: other.lowerBound))
        expectSame(try StoreFacts(store), before, "two parts staged")
        #expect(more == [101..<106])

        var transaction = Transaction.spawning(2, under: root)
        transaction.advance(TaskID(root), to: 1, value: [1])
        transaction.commit(stage)
        let commit = try await store.append(transaction)
        #expect(commit.spawned == [5..<7] && commit.staged == [7..<113])
        for _ in 0..<2 {
            let facts = try StoreFacts(store)
            #expect(facts.live.count == 112 && facts.nextID == 113)
            for (number, position) in positions.joined().enumerated() {
                let task = facts.live[7 + position]
                let isLast = number == 100
                #expect(task?.payload == Digest([isLast ? 200 : UInt8(number)]))
                #expect(task?.label == (isLast ? 3 : UInt32(1 + number % 2)))
                #expect(task?.parent == (isLast ? 0 : root))
            }
            #expect(facts.parents[root]?.liveChildren == 105 && facts.parents[other.lowerBound]?.liveChildren == 5)
            #expect(facts.parents[0]?.liveChildren == 2)
            try await store.close()
            store = try await open()
        }
        try await store.close()
    }

    @Test("T6: a million spawns are staged in parts, and memory keeps a run for 64 of them")
    func million() async throws {
        let store = try await open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let part = Transaction.spawning(50_000, under: root)
        let stage = store.makeStage()
        for _ in 0..<20 {
            try await stage.append(spawns: part)
            #expect(store.pendingBytes == 0 && store.totals.live == 1)
        }
        let staged = Self.state(store).stages[stage.number]
        #expect(staged?.count == 1_000_000 && staged?.runs.count == 20 * ((50_000 + 63) / 64))
        #expect(try await store.append(Self.commit(stage)).staged == [2..<1_000_002])
        #expect(store.totals.live == 1_000_001)
        #expect(Self.state(store).stages.isEmpty)
        try await store.close()
    }

    @Test("T6: what cannot be staged or committed is refused, and the stage goes on")
    func refusals() async throws {
        let store = try await open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let child = try await store.append(.spawning(1, under: root)).spawned[0].lowerBound
        let stage = store.makeStage()
        #expect(await Self.failure(stage, .ending([child], under: root))?.code == .rejected)
        #expect(await Self.failure(stage, Self.commit(stage))?.code == .rejected)
        var tooLarge = Transaction.spawning(1)
        tooLarge.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) {
            $0.append(zeros: Limits.valueBytes + 1)
        }
        #expect(await Self.failure(stage, tooLarge)?.code == .tooLarge)
        try await stage.append(spawns: .spawning(3, under: child))

        let before = try StoreFacts(store)
        var twice = Self.commit(stage)
        twice.commit(stage)
        #expect(await store.failure(of: twice)?.code == .rejected)
        var ending = Transaction.ending([child], under: root)
        ending.commit(stage)
        #expect(await store.failure(of: ending)?.code == .rejected, "a parent that ends in the same transaction")
        let orphans = store.makeStage()
        try await orphans.append(spawns: .spawning(2, under: 9999))
        var both = Self.commit(stage)
        both.commit(orphans)
        #expect(await store.failure(of: both)?.code == .rejected, "a parent that is not live")
        let elsewhere = try await MemoStore.labelled(at: "/other", fileSystem: SimulatedFileSystem())
        #expect(await store.failure(of: Self.commit(elsewhere.makeStage()))?.code == .rejected)
        try await elsewhere.close()
        expectSame(try StoreFacts(store), before, "after refusals")

        #expect(try await store.append(Self.commit(stage)).staged == [3..<6])
        #expect(await store.failure(of: .ending([child], under: root))?.code == .rejected, "it has children now")
        #expect(await store.failure(of: Self.commit(stage))?.code == .rejected)
        #expect(await Self.failure(stage, .spawning(1))?.code == .rejected)
        try await store.close()
        #expect(await Self.failure(orphans, .spawning(1))?.code == .closed)
    }

    @Test("A stage has no more tasks than its limit")
    func limit() throws {
        var state = StoreState()
        let number = state.openStage()
        var stages = BatchStages()
        try stages.add(Int(Limits.stagedTasks) - 1, to: number, state)
        try stages.add(1, to: number, state)
        let error = #expect(throws: StoreError.self) { try stages.add(1, to: number, state) }
        #expect(error?.code == .tooLarge)
    }

    @Test("S2: parts and their commit may be of one batch; what comes behind the commit is refused")
    func oneBatch() async throws {
        let store = try await open()
        let stage = store.makeStage()
        let empty = store.makeStage()
        var part = Transaction.spawning(70)
        part.stage = stage.number
        var both = Transaction.spawning(1)
        both.commit(empty)
        both.commit(stage)
        let results = await store.appendTogether([part, .spawning(2), part, both, part, Self.commit(stage)])
        let commits = results.map { try? $0.get() }
        #expect(commits[0]?.spawned == [0..<70] && commits[2]?.spawned == [70..<140])
        #expect(commits[1]?.spawned == [1..<3] && commits[3]?.spawned == [3..<4])
        #expect(commits[3]?.staged == [4..<4, 4..<144])
        #expect(results[4].code == .rejected && results[5].code == .rejected)
        let facts = try StoreFacts(store)
        #expect(facts.live.count == 143)
        for position in 0..<140 as Range<UInt64> {
            var payload = ByteWriter()
            payload.append(littleEndian: UInt32(position % 70))
            #expect(facts.live[4 + position]?.payload == Digest(payload.bytes))
        }
        try await store.close()
    }

    @Test("S6: a stage outlives checkpoints, with the segments that it is in, and is committed after them")
    func checkpoints() async throws {
        var store = try await open(logBytes: 4 << 10)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let stage = store.makeStage()
        try await stage.append(spawns: .spawning(100, under: root))
        let first = try #require(Self.state(store).stages[stage.number]?.runs.first).segment
        for _ in 0..<20 {
            let range = try await store.append(.spawning(300, under: root)).spawned[0]
            try await store.append(.ending(range, under: root))
            try await stage.append(spawns: .spawning(10, under: root))
        }
        await store.settle()
        let kept = try Self.logSegments(files)
        #expect(kept.contains(StoreFiles.name(.log, UInt64(first))))
        let ids = try await store.append(Self.commit(stage)).staged[0]
        #expect(ids.count == 300)
        let facts = try StoreFacts(store)
        let remains = files.crash(keeping: .dropAll)
        try await store.close()
        store = try await MemoStore.labelled(at: "/store", fileSystem: remains)
        expectSame(try StoreFacts(store), facts, "after a loss of power")
        #expect(facts.live[ids.lowerBound + 109]?.payload == Digest([9, 0, 0, 0]))
        try await store.close()
    }

    @Test("A stage that is cancelled, released or left by a process is gone, and so are its log segments")
    func dropped() async throws {
        var store = try await open(logBytes: 4 << 10)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let before = try StoreFacts(store)
        let large = [UInt8](repeating: 1, count: 300)
        func stageParts(_ stage: SpawnStage) async throws {
            for seed in 0..<20 as Range<UInt64> {
                var random = SeededGenerator(seed: seed)
                var part = Transaction()
                for _ in 0..<10 {
                    part.spawn(under: TaskID(root), label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                        $0.append(contentsOf: random.bytes(large.count))
                    }
                }
                try await stage.append(spawns: part)
            }
        }
        let cancelled = store.makeStage()
        try await stageParts(cancelled)
        cancelled.cancel()
        #expect(await store.failure(of: Self.commit(cancelled))?.code == .rejected)
        var released: SpawnStage? = store.makeStage()
        if let released { try await stageParts(released) }
        // At least those of the stage that is open.
        #expect(try Self.logSegments(files).count > 5)
        released = nil
        await store.settle()
        #expect(Self.state(store).stages.isEmpty)
        expectSame(try StoreFacts(store), before, "dropped")

        // Left open by a process that dies, and by one that closes.
        let left = store.makeStage()
        try await stageParts(left)
        let remains = files.crash(keeping: .keepAll)
        try await store.close()
        for image in [files, remains] {
            store = try await MemoStore.labelled(at: "/store", fileSystem: image)
            #expect(Self.state(store).stages.isEmpty)
            expectSame(try StoreFacts(store), before, "left")
            let next = store.makeStage()
            #expect(next.number > left.number)
            try await next.append(spawns: .spawning(2, under: root))
            let copy = image.crash(keeping: .keepAll)
            let after = try await MemoStore.labelled(at: "/store", fileSystem: copy)
            expectSame(try StoreFacts(after), before, "left again")
            try await after.close()
            #expect(try await store.append(Self.commit(next)).staged == [2..<4])
            try await store.close()
            #expect(try Self.logSegments(image).count < 5)
        }
    }

    @Test(
        "S4: without space a stage keeps what it has, and goes on when there is space again", arguments: [false, true])
    func noSpace(atCommit: Bool) async throws {
        var store = try await open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let stage = store.makeStage()
        try await stage.append(spawns: .spawning(100, under: root))
        files.faults = .failing(.write, at: 1, with: .noSpace)
        if atCommit {
            #expect(await store.failure(of: Self.commit(stage))?.code == .noSpace)
        } else {
            #expect(await Self.failure(stage, .spawning(10, under: root))?.code == .noSpace)
        }
        #expect(store.status(of: TaskID(root)) == nil)
        #expect(try await stage.append(spawns: .spawning(10, under: root)) == [100..<110])
        #expect(try await store.append(Self.commit(stage)).staged == [2..<112])
        let facts = try StoreFacts(store)
        #expect(facts.parents[root]?.liveChildren == 110)
        try await store.close()
        store = try await open()
        expectSame(try StoreFacts(store), facts, "reopened")
        try await store.close()
    }
}
