// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Checkpoints beside the writer (S4, S6, S7)")
struct BackgroundCheckpointTests {
    /// A store whose checkpoints wait for the test, each commit in a segment of its own.
    private struct Setup {
        let files = SimulatedFileSystem()
        let threads = HeldThreads()
        var configuration = MemoStore.Configuration.exactLog

        init() {
            configuration.logSegmentBytes = 1
            configuration.checkpointBytes = 1
            configuration.relocates = false
            // A slow machine is idle at times, and frames are counted.
            configuration.vouchDelay = nil
            configuration.startThread = threads.start
        }

        func open() async throws(StoreError) -> MemoStore {
            try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        }

        func close(_ store: MemoStore) async {
            threads.open()
            try? await store.close()
        }

        func logCount() throws -> Int { try files.list("/store").count { $0.hasPrefix("log-") } }
    }

    @Test(
        "A checkpoint that ends long after the state has moved on costs neither its tasks nor the newer ones anything")
    func anOlderState() async throws {
        let setup = Setup()
        let store = try await setup.open()
        let roots = try await store.append(.spawning(3)).spawned[0].map { $0 }
        await store.settle()
        #expect(setup.threads.isHolding)
        // All of this is not in the checkpoint that is about to be written.
        let children = try await store.append(.spawning(70, under: roots[0])).spawned[0].map { $0 }
        try await store.append(.ending(roots[1...2], under: 0))
        try await store.append(.ending(children[..<40], under: roots[0]))
        var handover = Transaction()
        handover.advance(TaskID(roots[0]), to: 1, value: [7])
        try await store.append(handover)
        let before = try StoreFacts(store)
        let checkpoints = { try setup.files.list("/store").filter { $0.hasPrefix("checkpoint-") } }
        #expect(try checkpoints() == ["checkpoint-0000000001"])
        setup.threads.release()
        #expect(try checkpoints() == ["checkpoint-0000000002"])
        await store.settle()
        expectSame(try StoreFacts(store), before, "the open store")
        for policy in [CrashPolicy.dropAll, .keepAll] {
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: setup.files.crash(keeping: policy))
            #expect(reopened.recovery.replayedFrames == 5)
            expectSame(try StoreFacts(reopened), before, "\(policy)")
            try await reopened.close()
        }
        await setup.close(store)
    }

    @Test("Of the log, what the checkpoint's state or the newer state needs is kept, and only that")
    func neededSegments() async throws {
        let setup = Setup()
        let store = try await setup.open()
        let roots = try await store.append(.spawning(1)).spawned[0].map { $0 }
        await store.settle()
        setup.threads.release()
        await store.settle()
        for _ in 0..<30 {
            let ids = try await store.append(.spawning(1)).spawned[0].map { $0 }
            try await store.append(.ending(ids, under: 0))
        }
        await store.settle()
        setup.threads.release()
        await store.settle()
        let many = try setup.logCount()
        setup.threads.release()
        await store.settle()
        #expect(try setup.logCount() <= 3 && many > 3, "\(many) segments before")
        #expect(try StoreFacts(store).live[roots[0]] != nil)
        await setup.close(store)
    }

    @Test(
        "S4: a call that fails in the background poisons the writer, and everyone is told",
        arguments: [FileCall.open, .write, .synchronize, .rename, .synchronizeDirectory])
    func failures(_ call: FileCall) async throws {
        for ordinal in 1...2 {
            let setup = Setup()
            let store = try await setup.open()
            let observer = Recorder()
            store.setObserver(observer)
            try await store.append(.spawning(3))
            await store.settle()
            setup.files.faults = .failing(call, at: ordinal)
            setup.threads.release()
            await store.settle()
            #expect(setup.files.faultsFired == 1)
            #expect(observer.failures.count == 1, "\(call) \(ordinal)")
            let next = await store.failure(of: .spawning(1))
            #expect(next?.code == .poisoned, "\(call) \(ordinal)")
            let remains = setup.files.crash(keeping: .dropAll)
            await setup.close(store)
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: remains)
            #expect(reopened.totals.live == 3, "\(call) \(ordinal)")
            try await reopened.close()
        }
    }

    @Test("S4: a checkpoint without space is left, and tried again later", arguments: ["checkpoint-", "MANIFEST"])
    func noSpace(name: String) async throws {
        let setup = Setup()
        let store = try await setup.open()
        try await store.append(.spawning(3))
        await store.settle()
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, in: name)
        setup.files.faults = plan
        setup.threads.release()
        #expect(setup.files.faultsFired == 1)
        try await store.append(.spawning(1))
        await store.settle()
        #expect(setup.threads.isHolding)
        setup.threads.release()
        #expect(try setup.files.list("/store").contains("checkpoint-0000000002"))
        await setup.close(store)
        let reopened = try await setup.open()
        #expect(reopened.recovery.wasClean && reopened.totals.live == 4)
        await setup.close(reopened)
    }

    @Test("S1: closing waits for the checkpoint that runs, and keeps the lock until then")
    func closingWaits() async throws {
        let setup = Setup()
        let store = try await setup.open()
        try await store.append(.spawning(3))
        await store.settle()
        let closed = MutexBox(false)
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<StoreError?, Never>) in
            store.beginClosing { error in
                closed.change { $0 = true }
                continuation.resume(returning: error)
            }
            let files = setup.files
            let configuration = setup.configuration
            #expect(throws: StoreError.self) {
                try MemoStore.labelledBlocking(at: "/store", configuration: configuration, fileSystem: files)
            }
            #expect(!closed.value)
            setup.threads.open()
        }
        #expect(end == nil)
        let reopened = try await setup.open()
        #expect(reopened.recovery.wasClean && reopened.totals.live == 3)
        try await reopened.close()
    }

    @Test("S4: a failed sync is a failed sync for everyone who shares the file, and the system is not asked again")
    func sharedFile() throws {
        let files = SimulatedFileSystem()
        let file = SharedFile(try files.open("/a", .createNew))
        files.faults = .failing(.synchronize, at: 1)
        for _ in 0..<3 { #expect(throws: FileError.self) { try file.synchronize() } }
        #expect(files.calls(of: .synchronize) == 1)
    }

    @Test("S4: when an index segment's sync fails in the writer, a checkpoint beside it does not count on the segment")
    func sharedIndexFile() async throws {
        var setup = Setup()
        setup.configuration.indexSegmentBytes = 1500
        setup.configuration.blockSizes.full = 100
        setup.configuration.checkpointBytes = 4 << 10
        let store = try await setup.open()
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        let children = try await store.append(.spawning(4000, under: root)).spawned[0].map { $0 }
        var ended = 0
        func endSome() async -> StoreError? {
            ended += 20
            return await store.failure(of: .ending(children[(ended - 20)..<ended], under: root))
        }
        // Until a checkpoint waits whose index has blocks that no sync has covered.
        for _ in 0..<2 {
            setup.threads.release()
            await store.settle()
            while !setup.threads.isHolding, ended < 3000 {
                #expect(await endSome() == nil)
                await store.settle()
            }
        }
        var plan = FaultPlan()
        plan.fail(.synchronize, at: 1, in: "index-")
        setup.files.faults = plan
        var acknowledged = ended
        while setup.files.faultsFired == 0, ended < 4000 {
            if await endSome() == nil { acknowledged = ended }
            await store.settle()
        }
        #expect(setup.files.faultsFired == 1)
        setup.threads.release()
        let remains = setup.files.crash(keeping: .dropAll)
        await setup.close(store)
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: remains)
        #expect(try reopened.children(of: TaskID(root)).count >= acknowledged)
        _ = try StoreFacts(reopened)
        try await reopened.close()
    }

    @Test("S4: a sync that fails when a compaction seals the index segment poisons the writer, and is not tried again")
    func failedSeal() async throws {
        let setup = Setup()
        setup.threads.open()
        let store = try await setup.open()
        let roots = try await store.append(.spawning(50)).spawned[0].map { $0 }
        try await store.append(.ending(roots[..<40], under: 0))
        await store.settle()
        var plan = FaultPlan()
        // The first sync of the file itself is that of its header.
        plan.fail(.synchronize, at: 2, in: "index-0000000001")
        setup.files.faults = plan
        await #expect(throws: StoreError.self) { try await store.compact() }
        #expect(setup.files.faultsFired == 1)
        let next = await store.failure(of: .ending(roots[40...], under: 0))
        #expect(next?.code == .poisoned)
        try? await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: setup.files.crash(keeping: .dropAll))
        #expect(try reopened.children(of: .none).count == 40)
        _ = try StoreFacts(reopened)
        try await reopened.close()
    }

    @Test("S3: commits that were only buffered are on disk before a checkpoint counts on them")
    func bufferedLog() async throws {
        var setup = Setup()
        setup.configuration.logSegmentBytes = 1 << 20
        setup.configuration.durability = .buffered
        let store = try await setup.open()
        try await store.append(.spawning(3))
        await store.settle()
        try await store.append(.spawning(4))
        setup.threads.release()
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: setup.files.crash(keeping: .dropAll))
        #expect(reopened.totals.live >= 3)
        try await reopened.close()
        await setup.close(store)
    }
}

@Suite("Replay of the tail by several threads (S6)")
struct ParallelReplayTests {
    /// What opening gives: the facts, or the error and its place.
    private func result(
        _ files: SimulatedFileSystem, threads: Bool
    ) async throws -> (facts: StoreFacts?, report: RecoveryReport?, error: String) {
        var configuration = Workload(.everything).configuration
        configuration.parallelReplayBytes = threads ? 0 : .max
        let image = files.crash(keeping: .keepAll)
        do throws(StoreError) {
            let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: image)
            let facts = try StoreFacts(store)
            let report = store.recovery
            await Workload.abandon(store, on: image)
            return (facts, report, "")
        } catch { return (nil, nil, "\(error)") }
    }

    @Test("It gives what one thread gives, also when the log is damaged", arguments: [1, 2, 3, 4] as [UInt64])
    func agrees(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var workload = Workload(.everything)
        workload.configuration.checkpointBytes = seed % 2 == 0 ? 1 << 20 : 5 << 10
        let files = SimulatedFileSystem()
        let store = try await workload.run(on: files).store
        let logs = try files.list("/store").filter { $0.hasPrefix("log-") }.sorted()
        var damaged = 0
        for round in 0..<40 {
            let image = files.crash(keeping: .keepAll)
            if round > 0 {
                let path = Workload.directory.appending(logs[random.below(logs.count)])
                let size = image.contents(path)?.count ?? 0
                let file = try image.open(path, .readWrite)
                try file.write(random.bytes(1 + random.below(3)), at: random.below(max(1, size)))
            }
            let one = try await result(image, threads: false)
            let several = try await result(image, threads: true)
            #expect(one.error == several.error && one.report == several.report, "seed \(seed), round \(round)")
            if let facts = one.facts {
                expectSame(several.facts, facts, "seed \(seed), round \(round)")
            } else {
                damaged += 1
            }
        }
        #expect(damaged > 0, "seed \(seed)")
        await Workload.abandon(store, on: files)
    }

    @Test("A channel gives everything in order and then its end, and a sender hears that nobody listens")
    func channel() throws {
        let channel = Channel<Int>(capacity: 3)
        try SystemThread.start {
            for number in 0..<50_000 where !channel.send(number) { return }
            channel.end()
        }
        var expected = 0
        while let number = channel.receive() {
            if number != expected { break }
            expected += 1
        }
        #expect(expected == 50_000)
        #expect(!channel.send(1) && channel.receive() == nil)
    }
}
