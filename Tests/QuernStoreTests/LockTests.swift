// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// A lock file that somebody removes while a writer has the store (S1, F25).
@Suite struct LockTests {
    private static let lock: FilePath = "/store/LOCK"

    private static func open(_ files: SimulatedFileSystem) async throws(StoreError) -> MemoStore {
        try await MemoStore.labelled(at: "/store", configuration: ReaderScript.configuration, fileSystem: files)
    }

    private static func contents(_ files: SimulatedFileSystem) throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for name in try files.list("/store") { contents[name] = files.contents(FilePath("/store").appending(name)) }
        return contents
    }

    @Test("S1: a lock knows whether its file is still the one under its name")
    func check() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("LOCK")
        for files: any FileSystem in [PosixFileSystem(), SimulatedFileSystem()] {
            try files.createDirectory(directory.path)
            let lost = FileError(operation: "lock", path: path, errno: .staleNFSFileHandle)
            let lock = try files.lock(path)
            try lock.check()
            try files.remove(path)
            #expect(throws: lost) { try lock.check() }
            let other = try files.lock(path)
            #expect(throws: lost) { try lock.check() }
            try other.check()
            lock.release()
            other.release()
            try files.remove(path)
        }
    }

    @Test("S1: who lost the lock acknowledges nothing that the next writer has not read, and replaces no file")
    func secondWriter() async throws {
        for seed in 1...12 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            let files = SimulatedFileSystem()
            let observer = FailureObserver()
            let first = try await Self.open(files)
            first.setObserver(observer)
            var acknowledged = 0
            for _ in 0..<(1 + random.below(20)) {
                acknowledged += try await first.append(.spawning(2)).spawned[0].count
            }
            await first.settle()
            try files.remove(Self.lock)
            // Nobody else is there yet, and still nobody knows.
            let commitsBefore = random.coin()
            if commitsBefore { #expect(await first.failure(of: .spawning(1))?.code == .lockLost) }
            let second = try await Self.open(files)
            #expect((0...(commitsBefore ? 1 : 0)).contains(second.totals.live - acknowledged), "seed \(seed)")
            for _ in 0..<random.below(20) { try await second.append(.spawning(2)) }
            await second.settle()
            let before = try Self.contents(files)
            let durability: Durability = random.coin() ? .synced : .buffered
            let failure = await first.failure(of: .spawning(3), durability: durability)
            #expect(failure?.code == (commitsBefore ? .poisoned : .lockLost), "seed \(seed)")
            #expect(await first.failure(of: .spawning(3))?.code == .poisoned)
            #expect(observer.failures == [.lockLost])
            do throws(StoreError) {
                try await first.close()
                Issue.record("closed in order without the lock")
            } catch { #expect(error.code == .lockLost) }
            let isSame = try Self.contents(files) == before
            #expect(isSame, "seed \(seed)")
            try await second.append(.spawning(1))
            let facts = try StoreFacts(second)
            try await second.close()
            let reopened = try await Self.open(files)
            expectSame(try StoreFacts(reopened), facts, "seed \(seed)")
            try await reopened.close()
        }
    }

    @Test("S1, S7: no file of the next writer is replaced by a checkpoint of one that lost the lock")
    func checkpoint() async throws {
        let files = SimulatedFileSystem()
        let first = try await Self.open(files)
        try await first.append(.spawning(3))
        await first.settle()
        try files.remove(Self.lock)
        let second = try await Self.open(files)
        try await second.append(.spawning(1))
        await second.settle()
        let before = try Self.contents(files)
        do throws(StoreError) {
            try await first.close()
            Issue.record("closed in order without the lock")
        } catch { #expect(error.code == .lockLost, "\(error)") }
        let isSame = try Self.contents(files) == before
        #expect(isSame)
        try await second.close()
    }

    // MARK: The index segment that both have open

    private static func growing(
        at directory: FilePath, _ files: any FileSystem
    ) async throws -> (store: MemoStore, root: UInt64) {
        var configuration = MemoStore.Configuration.exactLog
        configuration.openBlockBytes = 4 << 10
        configuration.checkpointBytes = 8 << 10
        configuration.startThread = { $0() }
        let store = try await MemoStore.labelled(at: directory, configuration: configuration, fileSystem: files)
        if store.recovery.created { try await store.append(.spawning(1)) }
        let root: UInt64 = 1
        for _ in 0..<20 {
            let children = try await store.append(.spawning(200, under: root)).spawned[0]
            try await store.append(.ending(children, under: root))
        }
        await store.settle()
        return (store, root)
    }

    private static func walk(_ store: MemoStore, _ root: UInt64) throws -> [UInt64] {
        var cursor = try store.children(of: TaskID(root)).makeCursor()
        var block = ChildBlock()
        var found: [UInt64] = []
        while try cursor.next(into: &block) {
            for index in 0..<block.count { found.append(block.id(at: index).rawValue) }
        }
        return found
    }

    @Test("S1: who lost the lock writes to no index segment of the next writer", arguments: [false, true])
    func indexSegment(onDisk: Bool) async throws {
        let temporary = try TemporaryDirectory()
        let files: any FileSystem = onDisk ? PosixFileSystem() : SimulatedFileSystem()
        let directory = onDisk ? temporary.path.appending("store") : "/store"
        let (first, root) = try await Self.growing(at: directory, files)
        try files.remove(directory.appending(StoreFiles.lockName))
        let open = try #require(first.shared.committed.withLock { $0.index.open })
        let length = try open.output.size()
        let (second, _) = try await Self.growing(at: directory, files)
        let before = try Self.walk(second, root)
        #expect(before.count == 8000)
        do throws(StoreError) {
            try await first.compact()
            Issue.record("compacted without the lock")
        } catch { #expect(error.code == .lockLost, "\(error)") }
        #expect(await first.failure(of: .spawning(1))?.code == .poisoned)
        try? await first.close()
        #expect(try open.output.size() == length, "it wrote to the file that it has open")
        let isSame = try Self.walk(second, root) == before
        #expect(isSame)
        try await second.compact()
        try await second.close()
        let (third, _) = try await Self.growing(at: directory, files)
        let isThere = try Self.walk(third, root).starts(with: before)
        #expect(isThere)
        try await third.close()
    }

    @Test("S1: a write of who lost the lock, under way since before, reaches nothing of the next writer")
    func slowWrite() async throws {
        let files = SimulatedFileSystem()
        let (first, root) = try await Self.growing(at: "/store", files)
        let open = try #require(first.shared.committed.withLock { $0.index.open })
        let file = try files.open(open.file.path, .readWrite)
        try files.remove(Self.lock)
        let (second, _) = try await Self.growing(at: "/store", files)
        let before = try Self.walk(second, root)
        try file.write([UInt8](repeating: 0xFF, count: 1 << 20), at: open.length)
        let isSame = try Self.walk(second, root) == before
        #expect(isSame)
        try await second.close()
        try? await first.close()
        let (third, _) = try await Self.growing(at: "/store", files)
        let isThere = try Self.walk(third, root).starts(with: before)
        #expect(isThere)
        try await third.close()
    }

    @Test(
        "S1: where the writer before has ended, its index segment is gone on with and not copied",
        arguments: [false, true])
    func goesOn(closes: Bool) async throws {
        let files = SimulatedFileSystem()
        let (first, _) = try await Self.growing(at: "/store", files)
        let path = try #require(first.shared.committed.withLock { $0.index.open?.file.path })
        let file = try files.open(path, .readOnly)
        if closes {
            try await first.close()
        } else {
            // The end of its process, which lets go of all locks.
            await Workload.abandon(first, on: files)
            files.faults = FaultPlan()
        }
        let length = try file.size()
        let (second, _) = try await Self.growing(at: "/store", files)
        #expect(try file.size() > length)
        try await second.close()
    }

    // MARK: A lock that cannot be looked at

    @Test("S1, S4: a lock that cannot be looked at refuses commits by its name, and no longer than that")
    func unknown() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        try await store.append(.spawning(1))
        var plan = FaultPlan()
        plan.fail(.checkLock, at: 1, with: .permissionDenied, .fromThenOn)
        files.faults = plan
        let failure = await store.failure(of: .spawning(1))
        #expect(failure?.code == .inputOutput && failure?.file == Self.lock, "\(String(describing: failure))")
        files.faults = FaultPlan()
        try await store.append(.spawning(1))
        #expect(store.totals.live == 2)
        try await store.close()
        let reopened = try await Self.open(files)
        #expect(reopened.totals.live == 2)
        try await reopened.close()
    }

    @Test("S1, S4: a batch behind which the lock cannot be looked at is in doubt, and no sync is blamed")
    func unknownBehindTheBatch() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        try await store.append(.spawning(1))
        var plan = FaultPlan()
        plan.fail(.checkLock, at: 2, with: .permissionDenied)
        files.faults = plan
        let failure = await store.failure(of: .spawning(1))
        #expect(failure?.code == .indeterminate && failure?.file == Self.lock, "\(String(describing: failure))")
        #expect(failure?.message.contains("sync") == false)
        #expect(await store.failure(of: .spawning(1))?.code == .poisoned)
        try? await store.close()
        let reopened = try await Self.open(files)
        #expect((1...2).contains(reopened.totals.live))
        try await reopened.close()
    }
}

private final class FailureObserver: CommitObserver {
    private let codes = MutexBox<[StoreError.Code]>([])
    var failures: [StoreError.Code] { codes.value }
    func storeDidCommit(_ changes: CommitChanges) {}
    func storeDidFail(_ error: StoreError) { codes.change { $0.append(error.code) } }
}
