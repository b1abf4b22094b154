// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Zeros that are written ahead of the log, and frames that vouch for its last batch (S2, S4, S6, F12).
@Suite struct LogAheadTests {
    static let first: FilePath = "/store/log-0000000001"
    static let second: FilePath = "/store/log-0000000002"

    static func configuration(reserve: Int) -> MemoStore.Configuration {
        var configuration = MemoStore.Configuration.exactLog
        configuration.logReserveBytes = reserve
        return configuration
    }

    @Test("S6: zeros ahead of the log are neither replayed nor reported as torn", arguments: [4096, 64 << 10])
    func zerosCountForNothing(reserve: Int) async throws {
        let files = SimulatedFileSystem()
        let configuration = Self.configuration(reserve: reserve)
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var sizes: Set<Int> = []
        for _ in 0..<60 {
            try await store.append(.spawning(5))
            sizes.insert(files.contents(Self.first)?.count ?? 0)
        }
        #expect(sizes.allSatisfy { $0 % reserve == 0 })
        #expect(sizes.count == (reserve == 4096 ? 2 : 1))
        let facts = try StoreFacts(store)
        let remains = files.crash(keeping: .dropAll)
        await Workload.abandon(store, on: files)
        let logical = files.contents(Self.first)!.lastIndex { $0 != 0 }! + 1
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: remains)
        #expect(reopened.recovery.replayedFrames == 61)
        #expect((logical..<(logical + 8)).contains(reopened.recovery.replayedBytes + FileHeader.size))
        #expect(reopened.recovery.tornBytes == 0)
        expectSame(try StoreFacts(reopened), facts, "reopened")
        try await reopened.close()
    }

    @Test("S2: a batch that is larger than 64 KiB is not followed by zeros")
    func largeBatches() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(
            at: "/store", configuration: Self.configuration(reserve: 512 << 10), fileSystem: files)
        var random = SeededGenerator(seed: 1)
        var transaction = Transaction()
        let payload = random.bytes(600 << 10)
        transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
            $0.append(contentsOf: payload)
        }
        try await store.append(transaction)
        #expect((files.contents(Self.first)?.count ?? 0) < 620 << 10)
        try await store.append(.spawning(1))
        #expect(files.contents(Self.first)?.count == 1024 << 10)
        await Workload.abandon(store, on: files)
    }

    @Test("S4: a disk without space for the zeros takes the batch, in the same segment", arguments: [true, false])
    func noSpaceForZeros(takesWhatFits: Bool) async throws {
        let files = SimulatedFileSystem()
        let configuration = Self.configuration(reserve: 64 << 10)
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var held = 0
        for name in try files.list("/store") { held += files.contents(FilePath("/store").appending(name))?.count ?? 0 }
        var faults = FaultPlan()
        faults.capacity = held + 3000
        faults.fullDiskTakesWhatFits = takesWhatFits
        files.faults = faults
        var committed = 0
        var failure: StoreError?
        while failure == nil, committed < 1000 {
            failure = await store.failure(of: .spawning(5))
            if failure == nil { committed += 1 }
        }
        #expect(failure?.code == .noSpace)
        #expect(committed > 5)
        #expect(files.contents(Self.second) == nil)
        files.faults = FaultPlan()
        for _ in 0..<10 { try await store.append(.spawning(5)) }
        #expect(files.contents(Self.second)?.count == 64 << 10)
        let facts = try StoreFacts(store)
        #expect(store.totals.live == (committed + 10) * 5)
        let remains = files.crash(keeping: .dropAll)
        await Workload.abandon(store, on: files)
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: remains)
        expectSame(try StoreFacts(reopened), facts, "reopened")
        await Workload.abandon(reopened, on: remains)
    }

    @Test("S4: a batch that is written is committed, whatever becomes of the zeros behind it")
    func failingZeros() async throws {
        let files = SimulatedFileSystem()
        let configuration = Self.configuration(reserve: 64 << 10)
        let store = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: files)
        var faults = FaultPlan()
        faults.fail(.write, at: 2, with: .noSpace, .fromThenOn, in: "log")
        files.faults = faults
        _ = try await store.label(for: "a")
        #expect(files.faultsFired == 1)
        let remains = files.crash(keeping: .dropAll)
        await Workload.abandon(store, on: files)
        let reopened = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: remains)
        #expect(reopened.knownLabel(for: "a") != nil)
        await Workload.abandon(reopened, on: remains)
    }

    @Test("S6: a write of a batch with zeros behind it that was torn anywhere leads back to the batch before it")
    func tornReserve() async throws {
        let configuration = Self.configuration(reserve: 4096)
        for seed in 0..<40 {
            let files = SimulatedFileSystem()
            let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
            var before = try StoreFacts(store)
            var size = files.contents(Self.first)?.count ?? 0
            // Up to the first batch, or the first one behind the reserve.
            for _ in 0..<(seed % 2 == 0 ? 1 : 100) {
                before = try StoreFacts(store)
                try await store.append(.spawning(9), durability: .buffered)
                let now = files.contents(Self.first)?.count ?? 0
                if seed % 2 == 0 || (now > size && size > FileHeader.size) { break }
                size = now
                try await store.append(.spawning(9))
            }
            let after = try StoreFacts(store)
            let remains = files.crash(keeping: .random(seed: UInt64(seed), tearing: .sectors))
            await Workload.abandon(store, on: files)
            let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: remains)
            let found = try StoreFacts(reopened)
            #expect(found == before || found == after, "seed \(seed)")
            #expect(reopened.recovery.tornBytes <= 4096, "seed \(seed)")
            await Workload.abandon(reopened, on: remains)
        }
    }

    @Test(
        "F12: once nothing was written for a while, damage in the last batch is no torn write",
        arguments: [true, false])
    func lastBatchIsVouchedFor(waits: Bool) async throws {
        var configuration = Self.configuration(reserve: 0)
        configuration.vouchDelay = waits ? .zero : nil
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let start = files.contents(Self.first)!.count
        try await store.append(.spawning(5))
        var end = files.contents(Self.first)!.count
        if waits {
            // The writer is done with a batch before it sees that there is no other.
            while files.contents(Self.first)!.suffix(FrameHeader.size).prefix(4) != [0x51, 0x46, 0x52, 0x1A] {
                await store.settle()
            }
            let length = files.contents(Self.first)!.count
            end = length - FrameHeader.size
            for _ in 0..<10 { await store.settle() }
            #expect(files.contents(Self.first)!.count == length, "one frame vouches, and not one for another")
        }
        let facts = try StoreFacts(store)
        let remains = files.crash(keeping: .keepAll)
        await Workload.abandon(store, on: files)
        for place in start..<end {
            let copy = remains.crash(keeping: .keepAll)
            try copy.flipBit(in: Self.first, atByte: place, bit: 3)
            do throws(StoreError) {
                let reopened = try await MemoStore.labelled(
                    at: "/store", configuration: configuration, fileSystem: copy)
                // No checksum covers a frame's padding.
                let isLost = try StoreFacts(reopened) != facts
                #expect(!waits || !isLost, "byte \(place): the last batch was lost without a word")
                await Workload.abandon(reopened, on: copy)
            } catch {
                #expect(waits && error.code == .damaged, "byte \(place): \(error)")
                #expect(error.file == Self.first && error.offset == start, "byte \(place)")
            }
        }
    }

    @Test("F12: so it is where an opening found that batch, also when the disk is full for a while")
    func recoveredBatchIsVouchedFor() async throws {
        var configuration = Self.configuration(reserve: 0)
        configuration.vouchDelay = nil
        let files = SimulatedFileSystem()
        var store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let start = files.contents(Self.first)!.count
        try await store.append(.spawning(5))
        let remains = files.crash(keeping: .dropAll)
        await Workload.abandon(store, on: files)
        configuration.vouchDelay = .zero
        var faults = FaultPlan()
        faults.fail(.open, at: 1, with: .noSpace, in: "log-0000000002")
        remains.faults = faults
        let manifest = remains.contents("/store/MANIFEST")
        store = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: remains)
        // The manifest names it last.
        while remains.contents("/store/MANIFEST") == manifest { await Task.yield() }
        #expect(remains.faultsFired == 1)
        for _ in 0..<10 { await store.settle() }
        #expect(remains.contents("/store/log-0000000003") == nil, "nothing is left to vouch for")
        let again = remains.crash(keeping: .dropAll)
        await Workload.abandon(store, on: remains)
        try again.flipBit(in: Self.first, atByte: start + FrameHeader.size, bit: 3)
        do throws(StoreError) {
            let reopened = try await MemoStore.open(at: "/store", configuration: configuration, fileSystem: again)
            Issue.record("the last batch was lost without a word")
            await Workload.abandon(reopened, on: again)
        } catch {
            #expect(error.code == .damaged && error.file == Self.first && error.offset == start, "\(error)")
        }
    }
}
