// SPDX-License-Identifier: Apache-2.0
import QuernTesting
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
            let log = try files.list("/store").filter { $0.hasPrefix("log") }.max()
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
            // It went on with its own log segment, behind what the other one has read.
            let isSame = try Self.contents(files).allSatisfy { $0.key == log || $0.value == before[$0.key] }
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
}

private final class FailureObserver: CommitObserver {
    private let codes = MutexBox<[StoreError.Code]>([])
    var failures: [StoreError.Code] { codes.value }
    func storeDidCommit(_ changes: CommitChanges) {}
    func storeDidFail(_ error: StoreError) { codes.change { $0.append(error.code) } }
}
