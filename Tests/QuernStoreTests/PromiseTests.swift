// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the store promises to its callers beside transactions: locks, levels of durability, closing, large values,
/// and that files go when nobody needs them (S1, S3, S5, S7, S15).
@Suite struct PromiseTests {
    @Test("S1: a second writer in the process is refused, told who holds the store, and let in after a close")
    func lockInOneProcess() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        let store = try await MemoStore.labelled(at: path)
        do {
            _ = try await MemoStore.labelled(at: path)
            Issue.record("a second writer was let in")
        } catch {
            #expect(error.code == .locked)
            #expect(error.message.contains(LockHolder.current.dropLast()))
            #expect(error.file == path.appending(StoreFiles.lockName))
        }
        try await store.close()
        let second = try await MemoStore.labelled(at: path)
        #expect(second.recovery.wasClean)
        try await second.close()
    }

    @Test("S1: a second writer in another process is refused and told who holds the store")
    func lockAcrossProcesses() async throws {
        let directory = try TemporaryDirectory()
        let store = try await MemoStore.labelled(at: directory.path)
        let path = directory.path.string
        let holder = LockHolder.current
        await #expect(processExitsWith: .exitCode(7)) { [path = path as String, holder = holder as String] in
            do {
                _ = try await MemoStore.labelled(at: FilePath(path))
            } catch let error as StoreError {
                let isTold = error.code == .locked && error.message.contains(holder.dropLast())
                exit(isTold ? 7 : 8)
            }
        }
        try await store.close()
    }

    @Test("S1: the lock is given back when opening fails, and when a store is let go without a close")
    func lockIsGivenBack() async throws {
        let files = SimulatedFileSystem()
        var store: MemoStore? = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store?.append(.spawning(1))
        store = nil
        files.faults = .failing(.map, at: 1, with: .ioError)
        // The writer thread closes in its own time; until then the store is locked.
        while true {
            let error = await RecoveryRulesTests.failure(opening: files)
            if error?.code == .locked { await Task.yield() } else { break }
        }
        files.faults = FaultPlan()
        #expect(await RecoveryRulesTests.failure(opening: files) == nil)
    }

    @Test("Closing twice is no error, and every call after it says that the store is closed")
    func closing() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        try await store.append(.spawning(1))
        async let first: Void = store.close()
        async let second: Void = store.close()
        try await first
        try await second
        try await store.close()
        #expect(await store.failure(of: .spawning(1))?.code == .closed)
        await #expect(throws: StoreError.self) { try await store.label(for: "x") }
        #expect(store.totals.live == 1)
    }

    @Test("What was handed over before a close is committed by it")
    func closeCommits() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let results = MutexBox<[StoreError.Code?]>([])
        for _ in 0..<50 {
            store.enqueue(.spawning(1), durability: .buffered) { result in results.change { $0.append(result.code) } }
        }
        try await store.close()
        #expect(results.value == Array(repeating: nil, count: 50))
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files.crash(keeping: .dropAll))
        #expect(reopened.totals.live == 50)
        #expect(reopened.recovery.wasClean)
        try await reopened.close()
    }

    // MARK: Durability

    @Test("S3: buffered commits survive the process; a loss of power takes them from the end alone")
    func buffered() async throws {
        for seed in 0..<30 as Range<UInt64> {
            let files = SimulatedFileSystem()
            var configuration = MemoStore.Configuration()
            configuration.logSegmentBytes = 700
            configuration.durability = .buffered
            let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
            var synced = 0
            let count = 5 + Int(seed) % 12
            for index in 1...count {
                let level: Durability? = index == Int(seed) % 9 ? .synced : nil
                try await store.append(.spawning(1), durability: level)
                if level == .synced { synced = index }
            }
            for (policy, name) in [
                (CrashPolicy.keepAll, "kept"), (.dropAll, "dropped"), (.random(seed: seed, tearing: .bytes), "torn"),
            ] {
                let remains = files.crash(keeping: policy)
                let reopened = try await MemoStore.labelled(
                    at: "/store", configuration: configuration, fileSystem: remains)
                let ids = try StoreFacts(reopened).live.keys.sorted()
                #expect(ids == Array(1..<UInt64(ids.count + 1)), "seed \(seed), \(name)")
                #expect(ids.count >= (policy == .keepAll ? count : synced), "seed \(seed), \(name)")
                await Workload.abandon(reopened, on: remains)
            }
            await Workload.abandon(store, on: files)
        }
    }

    @Test("S3: an interval commit reaches the disk by itself")
    func interval() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let before = files.calls(of: .synchronize)
        try await store.append(.spawning(1), durability: .interval(.milliseconds(1)))
        // Waits for the sync itself: a test that hangs here has found that nobody syncs.
        while files.calls(of: .synchronize) == before { await Task.yield() }
        while true {
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files.crash(keeping: .dropAll))
            let live = reopened.totals.live
            try await reopened.close()
            if live == 1 { break }
        }
        try await store.close()
    }

    @Test("S4: when the sync of an interval commit fails, the observer is told and later commits are refused")
    func intervalFails() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let recorder = Recorder()
        store.setObserver(recorder)
        files.faults = .failing(.synchronize, at: 1)
        try await store.append(.spawning(1), durability: .interval(.zero))
        while recorder.failures.isEmpty { await Task.yield() }
        #expect(recorder.failures == [.indeterminate])
        #expect(await store.failure(of: .spawning(1), durability: .buffered)?.code == .poisoned)
        #expect(store.totals.live == 1)
        try? await store.close()
    }

    // MARK: Sizes

    @Test("F5: values of 0 bytes and of the largest size are kept, in every place that takes one")
    func extremeValues() async throws {
        let files = SimulatedFileSystem()
        var store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let large = [UInt8](repeating: 0xAB, count: Limits.valueBytes)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        var transaction = Transaction()
        for value in [[], large, [], large] {
            transaction.spawn(under: TaskID(root), label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                $0.append(contentsOf: value)
            }
        }
        transaction.advance(TaskID(root), to: 1, value: large)
        let ids = try await store.append(transaction).spawned.flatMap { Array($0) }
        var ending = Transaction()
        for (id, kind, value) in [(ids[0], .completed, []), (ids[1], .completed, large), (ids[2], .failed, large)]
            as [(UInt64, OutcomeKind, [UInt8])]
        {
            ending.end(.init(id, under: root, kind)) { $0.append(contentsOf: value) }
        }
        try await store.append(ending)
        let facts = try StoreFacts(store)
        #expect(facts.children[root]?.map(\.value) == [Digest([]), Digest(large), Digest(large)])
        #expect(facts.live[ids[3]]?.payload == Digest(large))
        #expect(facts.kept[root] == [0: Digest(large)])
        let remains = files.crash(keeping: .dropAll)
        try await store.close()
        for files in [remains, files] {
            store = try await MemoStore.labelled(at: "/store", fileSystem: files)
            expectSame(try StoreFacts(store), facts, "reopened")
            try await store.close()
        }
    }

    @Test("S5: a transaction of 300,000 spawns comes back whole, and one that was cut short not at all")
    func manySpawns() async throws {
        let count = 300_000
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        var transaction = Transaction()
        for index in 0..<count {
            transaction.spawn(under: TaskID(root), label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                // A fixed width, and too varied to be compressed away.
                $0.append(littleEndian: UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
            }
        }
        let before = files.crash(keeping: .keepAll)
        let spawned = try await store.append(transaction).spawned
        #expect(spawned.count == 1 && spawned[0].count == count)
        let whole = files.crash(keeping: .dropAll)
        let path: FilePath = "/store/log-0000000001"
        let bytes = try #require(files.contents(path))
        await Workload.abandon(store, on: files)
        let start = try #require(before.contents(path)?.count)
        // Whole frames are there and the commit frame is not.
        for share in [0, 1, 50, 99] {
            let torn = before.crash(keeping: .keepAll)
            let end = share == 99 ? bytes.count - 1 : start + (bytes.count - start) * share / 100
            try torn.overwrite(path, with: Array(bytes[..<end]))
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: torn)
            #expect(reopened.totals.live == 1, "\(share) % of the transaction")
            // Zeros at the end may have been written ahead.
            let used = (bytes[..<end].lastIndex { $0 != 0 }! + 8) & ~7
            #expect(reopened.recovery.tornBytes == max(0, min(used, end) - start), "\(share) % of the transaction")
            await Workload.abandon(reopened, on: torn)
        }
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: whole)
        #expect(reopened.totals.live == count + 1)
        #expect(reopened.status(of: TaskID(root))?.liveChildren == UInt64(count))
        let runs = reopened.liveTasks().runs
        for entry in [runs[1], runs[runs.count / 2], runs[runs.count - 1]] {
            try reopened.withPayloads(of: entry.run, indexes: entry.live) { index, payload in
                let number = entry.run.id(at: index).rawValue - spawned[0].lowerBound
                let value = payload.unsafeLoadUnaligned(as: UInt64.self)
                #expect(UInt64(littleEndian: value) == number &* 0x9E37_79B9_7F4A_7C15)
            }
        }
        await Workload.abandon(reopened, on: whole)
    }

    // MARK: Files

    @Test("S15: log segments and checkpoints that nobody needs are removed, and those that are needed stay")
    func obsoleteFiles() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1
        configuration.checkpointBytes = 1
        configuration.startThread = { $0() }
        var store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let roots = try await store.append(.spawning(2)).spawned[0]
        var handover = Transaction()
        handover.advance(TaskID(roots.lowerBound), to: 1, value: [7])
        try await store.append(handover)
        for _ in 0..<20 {
            let id = try await store.append(.spawning(1)).spawned[0].lowerBound
            try await store.append(.ending([id], under: 0))
        }
        func names(_ prefix: String) throws -> [String] { try files.list("/store").filter { $0.hasPrefix(prefix) } }
        await store.settle()
        // The roots' payloads, the hand-over, what is being written, and as much log as the checkpoint has bytes.
        #expect(try names("log").count <= 12)
        #expect(try names("checkpoint").count == 1)
        try await store.append(.ending(roots.dropFirst(), under: 0))
        try await store.close()
        store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        #expect(try store.handover(of: TaskID(roots.lowerBound)) == [7])
        #expect(try StoreFacts(store).live[roots.lowerBound] != nil)
        try await store.append(.ending([roots.lowerBound], under: 0))
        try await store.append(.spawning(1))
        await store.settle()
        #expect(try names("log").count <= 2)
        #expect(try StoreFacts(store).children[0]?.count == 22)
        try await store.close()
    }

    @Test("S7: after a close every file is on disk as it is, name and bytes")
    func filesAreDurable() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let names = try files.list("/store").filter { $0 != StoreFiles.lockName }
        let onDisk = files.crash(keeping: .dropAll)
        #expect(names.count > 4)
        for name in names {
            let path = Workload.directory.appending(name)
            let isSame = onDisk.contents(path) == files.contents(path)
            #expect(isSame, "\(name)")
        }
    }
}
