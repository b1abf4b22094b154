// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What a fourth hostile reading found.
@Suite struct Rev4Tests {
    let files = SimulatedFileSystem()

    private static func advancing(_ task: UInt64) -> Transaction {
        var transaction = Transaction()
        transaction.setPriority(TaskID(task), 3)
        return transaction
    }

    // MARK: Batches that were not written

    @Test("S4: who is refused for what others of a batch did is told what became of them when it was not written")
    func refusedByWhatWasNotWritten() async throws {
        for errno in [Errno.noSpace, .ioError] {
            let files = SimulatedFileSystem()
            let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
            try await store.append(.spawning(1))
            var plan = FaultPlan()
            plan.fail(.write, at: 1, with: errno, in: "log-")
            files.faults = plan
            let results = await store.appendTogether([
                KeyTests.spawning(1), KeyTests.spawning(1, .reject), .ending([1], under: 0), Self.advancing(1),
                .ending([77], under: 0),
            ])
            let code: StoreError.Code = errno == .noSpace ? .noSpace : .inputOutput
            #expect(results.map(\.code) == [code, code, code, code, .rejected])
            #expect(store.isLive(TaskID(1)) && store.task(forKey: KeyTests.key(1)) == nil)
            if errno == .noSpace {
                #expect(await store.failure(of: Self.advancing(1)) == nil)
                #expect(await store.failure(of: KeyTests.spawning(1, .reject)) == nil)
            }
            try? await store.close()
        }
    }

    @Test("T10, T11: of a cancel and a replacement in one batch the first one says how the task ends")
    func firstCancelCounts() async throws {
        for replacesFirst in [false, true] {
            let files = SimulatedFileSystem()
            let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
            try await store.append(KeyTests.spawning(1))
            var cancel = Transaction()
            cancel.requestCancel(TaskID(1), as: .expired)
            let replace = KeyTests.spawning(1, .replace)
            _ = await store.appendTogether(replacesFirst ? [replace, cancel] : [cancel, replace])
            let kind: OutcomeKind = replacesFirst ? .superseded : .expired
            #expect(store.liveTasks().details[TaskID(1)]?.cancel == kind)
            let reopened = try await MemoStore.open(at: "/store", fileSystem: files.crash(keeping: .keepAll))
            #expect(reopened.liveTasks().details[TaskID(1)]?.cancel == kind)
            try await store.close()
            try await reopened.close()
        }
    }

    @Test("T11: of several spawns of a stage with the same key the last call counts, whatever the others share")
    func lastOfAStage() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        var spawns = Transaction()
        for (label, name, payload) in [(1, 9, 1), (2, 5, 2), (1, 5, 3)] as [(UInt32, Int, UInt8)] {
            spawns.spawn(
                under: .none, label: Label(rawValue: label), key: KeyTests.key(name), at: Timestamp(milliseconds: 1)
            ) { $0.append(payload) }
        }
        let stage = store.makeStage()
        try await stage.append(spawns: spawns)
        var transaction = Transaction()
        transaction.commit(stage)
        try await store.append(transaction)
        let holder = try #require(store.task(forKey: KeyTests.key(5)))
        #expect(try StoreFacts(store).live[holder.rawValue]?.payload == Digest([3]))
        #expect(store.totals.live == 2)
        try await store.close()
    }

    // MARK: Payloads that moved

    @Test("S14, S15: payloads of a run that moved are found by an older run also when its first task has ended")
    func payloadsOfAMovedRun() async throws {
        var configuration = MemoStore.Configuration.exactLog
        configuration.logSegmentBytes = 1 << 10
        configuration.checkpointBytes = 1 << 10
        configuration.payloadCacheBytes = 0
        configuration.startThread = { $0() }
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let ids = try await store.append(.spawning(3)).spawned[0]
        let run = try #require(store.run(of: TaskID(ids.lowerBound)))
        for _ in 0..<60 {
            let others = try await store.append(.spawning(20)).spawned[0]
            try await store.append(.ending(others, under: 0))
        }
        await store.rest()
        try await store.append(.ending(ids.prefix(1), under: 0))
        #expect(store.run(of: TaskID(ids.lowerBound + 1)) != run, "it was never moved")
        var found: [Int: [UInt8]] = [:]
        try store.withPayloads(of: run, indexes: 0b111) { index, bytes in
            found[index] = bytes.withUnsafeBytes { Array($0) }
        }
        #expect(found[1] == [1, 0, 0, 0] && found[2] == [2, 0, 0, 0])
        try await store.close()
    }

    // MARK: The end of a store

    @Test(
        "S3: closing puts on disk what was acknowledged, also where no checkpoint can be written",
        arguments: [false, true])
    func closingSyncs(poisoned: Bool) async throws {
        var configuration = MemoStore.Configuration.exactLog
        configuration.openBlockBytes = 0
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let ids = try await store.append(.spawning(3)).spawned[0]
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: poisoned ? .ioError : .noSpace, .fromThenOn, in: "index-")
        files.faults = plan
        try await store.append(.ending(ids, under: 0), durability: .interval(.seconds(3600)))
        do throws(StoreError) {
            try await store.close()
            Issue.record("closed in order")
        } catch { #expect(error.code == (poisoned ? .inputOutput : .noSpace)) }
        let reopened = try await MemoStore.open(at: "/store", fileSystem: files.crash(keeping: .dropAll))
        #expect(reopened.totals.live == 0)
        try await reopened.close()
    }

    // MARK: Descriptors

    @Test("S4: a process that is short of descriptors for a while fails what it asked for then, and nothing later")
    func descriptors() async throws {
        for errno in [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem] {
            for turn in 1...12 {
                let files = SimulatedFileSystem()
                var configuration = MemoStore.Configuration.exactLog
                configuration.logSegmentBytes = 1 << 10
                configuration.indexSegmentBytes = 1 << 10
                configuration.openBlockBytes = 1 << 10
                configuration.checkpointBytes = 2 << 10
                configuration.startThread = { $0() }
                let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
                files.faults = .failing(.open, at: turn, with: errno)
                var live = 0
                var failures = 0
                for _ in 0..<30 {
                    do throws(StoreError) {
                        let ids = try await store.append(.spawning(20)).spawned[0]
                        live += 20
                        try await store.append(.ending(ids.prefix(18), under: 0))
                        live -= 18
                    } catch {
                        failures += 1
                        #expect(error.code == .inputOutput && error.cause?.errno == errno, "turn \(turn): \(error)")
                    }
                }
                #expect(files.faultsFired == 1 && failures <= 1, "turn \(turn): \(failures) failures")
                #expect(store.totals.live == live)
                try await store.close()
                let reopened = try await MemoStore.open(at: "/store", fileSystem: files.crash(keeping: .dropAll))
                #expect(reopened.totals.live == live)
                try await reopened.close()
            }
        }
    }

    // MARK: A full disk

    @Test("S4: a commit that never fits leaves no file behind, however often it is tried")
    func neverFits() async throws {
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        try await store.append(.spawning(1))
        var plan = FaultPlan()
        plan.capacity = files.usedBytes + (100 << 10)
        // As where the bytes that fitted are given back.
        plan.fullDiskTakesWhatFits = false
        files.faults = plan
        var large = Transaction()
        let payload = SeededGenerator(seed: 1).bytesOnce(200 << 10)
        large.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
            $0.append(contentsOf: payload)
        }
        for _ in 0..<50 { #expect(await store.failure(of: large)?.code == .noSpace) }
        let segments = try files.list("/store").filter { $0.hasPrefix("log-") }
        #expect(segments.count <= 3, "\(segments.count) segments")
        try await store.append(.spawning(1))
        files.faults = FaultPlan()
        try await store.append(large)
        let reopened = try await MemoStore.open(at: "/store", fileSystem: files.crash(keeping: .dropAll))
        #expect(reopened.totals.live == 3)
        try await reopened.close()
        try await store.close()
    }

    @Test("S6, F5: a log of very many segments is opened with few descriptors")
    func manySegments() async throws {
        var configuration = MemoStore.Configuration.exactLog
        configuration.logSegmentBytes = 1
        configuration.checkpointBytes = 1 << 30
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<40 { try await store.append(.spawning(1)) }
        let left = SlowFiles(files.crash(keeping: .keepAll))
        let reopened = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: left)
        let reader = try await MemoReader.open(at: "/store", fileSystem: left)
        #expect(reopened.totals.live == 40 && reader.totals.live == 40)
        #expect((1...8).contains(left.peak), "\(left.peak) open at a time")
        try await reopened.close()
        try await store.close()
    }

    // MARK: Who lost the lock

    @Test("S1: a write that fails when the lock is lost gives back no bytes: the next writer may have read them")
    func discard() throws {
        let files = SimulatedFileSystem()
        try files.createDirectory("/store")
        let lock = try files.lock("/store/LOCK")
        let recorder = DiscardRecorder()
        let file = SharedFile(recorder, lock: lock)
        file.discard(0..<8)
        #expect(recorder.discarded == [0..<8])
        try files.remove("/store/LOCK")
        file.discard(8..<16)
        #expect(recorder.discarded == [0..<8])
    }

    @Test("S1: what the next writer read of a slow write stays when that write fails")
    func slowWriteThatFails() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        let slow = SlowFiles()
        let first = try await MemoStore.labelled(at: path, configuration: .exactLog, fileSystem: slow)
        try await first.append(.spawning(1))
        // The whole batch reaches the file, the call returns much later and with an error.
        slow.afterWrite {
            try? PosixFileSystem().remove(path.appending("LOCK"))
            let second = try? MemoStore.openBlocking(at: path, configuration: .exactLog)
            _ = try? second?.appendBlocking(.spawning(5))
            #expect(second?.totals.live == 12)
            // It dies: its checkpoint does not cover the log.
            Self.left.change { $0 = second }
        }
        #expect(await first.failure(of: .spawning(6))?.code != nil)
        let reader = try await MemoReader.open(at: path)
        #expect(reader.totals.live == 12)
        try? await first.close()
        try await Self.left.value?.close()
        Self.left.change { $0 = nil }
    }

    private static let left = MutexBox<MemoStore?>(nil)

    // MARK: Calls of users

    @Test("Watching calls the sequence of its caller without holding the store")
    func watchedSequence() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store.append(.spawning(4))
        let ids = (1...9).lazy.map { TaskID($0) }.filter { store.isLive($0) }
        #expect(store.watch(ids).isEmpty)
        store.unwatch(ids)
        try await store.close()
    }

    @Test(
        "F5: a name that no writer gives is damage, not a name",
        arguments: [[], [0xFF, 0x41], Array(repeating: 0x41, count: 256)] as [[UInt8]])
    func names(bytes: [UInt8]) throws {
        var body = ByteWriter()
        LogRecord.append(LogRecord.Kind.define.rawValue, to: &body) {
            $0.append(littleEndian: UInt32(1))
            $0.append(contentsOf: bytes)
        }
        var state = StoreState()
        var changes = ChangeCollector()
        let failure = body.bytes.withUnsafeBytes { bytes -> DecodingFailure? in
            do throws(DecodingFailure) {
                try state.apply(bytes, segment: 1, frameOffset: 128, changes: &changes)
                return nil
            } catch { return error }
        }
        #expect(failure != nil)
    }
}

/// Notes what is given back.
private final class DiscardRecorder: StoreFile {
    private let ranges = MutexBox<[Range<Int>]>([])
    var discarded: [Range<Int>] { ranges.value }
    let path: FilePath = "/store/log"
    func size() throws(FileError) -> Int { 0 }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int { 0 }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {}
    func discard(_ range: Range<Int>) { ranges.change { $0.append(range) } }
    func synchronize() throws(FileError) {}
    func map(length: Int) throws(FileError) -> FileMapping {
        FileMapping(UnsafeRawBufferPointer(start: nil, count: 0), unmap: { _ in })
    }
}

extension SeededGenerator {
    fileprivate func bytesOnce(_ count: Int) -> [UInt8] {
        var generator = self
        return generator.bytes(count)
    }
}
