// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What a reader makes of the end of a log that is being written to (S12, F27, F28).
@Suite struct ReaderTailTests {
    /// A store of a log segment and a checkpoint, with what it says after each commit.
    private struct Sample {
        let files = SimulatedFileSystem()
        var facts: [StoreFacts] = []
        /// Where the log ended after each commit.
        var ends: [Int] = []
        let log: FilePath = "/store/log-0000000001"

        init() async throws {
            let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
            note(try StoreFacts(store), store)
            let root = try await store.append(.spawning(1)).spawned[0].lowerBound
            note(try StoreFacts(store), store)
            for _ in 0..<4 {
                let children = try await store.append(.spawning(3, under: root)).spawned[0]
                note(try StoreFacts(store), store)
                try await store.append(.ending(children, under: root))
                note(try StoreFacts(store), store)
            }
            await Workload.abandon(store, on: files)
            files.faults = FaultPlan()
        }

        private mutating func note(_ facts: StoreFacts, _ store: MemoStore) {
            self.facts.append(facts)
            ends.append(files.contents(log)?.count ?? 0)
        }

        /// The log as it is after a commit.
        func log(_ commits: Int) -> [UInt8] { Array((files.contents(log) ?? []).prefix(ends[commits])) }
    }

    private func open(_ files: any FileSystem) async throws(StoreError) -> MemoReader {
        try await MemoReader.open(at: "/store", fileSystem: files)
    }

    @Test("F28: a frame that is seen half written, with or without zeros ahead, is the end of the log, and no damage")
    func halfWritten() async throws {
        let sample = try await Sample()
        let whole = sample.log(sample.facts.count - 1)
        for zeros in [0, 640] {
            let files = sample.files.crash(keeping: .keepAll)
            try files.place(sample.log(0), at: sample.log)
            let reader = try await open(files)
            var commit = 0
            for length in sample.ends[0]...whole.count where length % 3 == 0 || sample.ends.contains(length) {
                try files.place(Array(whole.prefix(length)) + [UInt8](repeating: 0, count: zeros), at: sample.log)
                // The last bytes of a frame may be zeros themselves.
                let visible = sample.ends.lastIndex { end in
                    end <= length || (end - length <= zeros && whole[length..<end].allSatisfy { $0 == 0 })
                }!
                let grew = try reader.refreshBlocking()
                #expect(grew == (visible > commit), "\(length) bytes")
                commit = visible
                guard grew || length % 24 == 0 else { continue }
                expectSame(try StoreFacts(reader), sample.facts[commit], "refreshed at \(length) bytes")
                expectSame(try StoreFacts(try await open(files)), sample.facts[commit], "opened at \(length) bytes")
            }
            #expect(commit == sample.facts.count - 1)
        }
    }

    @Test("F28: the end of a frame may be seen before its beginning")
    func outOfOrder() async throws {
        let sample = try await Sample()
        let files = sample.files.crash(keeping: .keepAll)
        let next = sample.log(5)
        for start in stride(from: sample.ends[4], to: sample.ends[5], by: 8) {
            var bytes = next
            for index in sample.ends[4]..<start { bytes[index] = 0 }
            try files.place(bytes, at: sample.log)
            let isWhole = start == sample.ends[4]
            expectSame(try StoreFacts(try await open(files)), sample.facts[isWhole ? 5 : 4], "from \(start) on")
        }
    }

    @Test("F27: a broken frame that later frames vouch for is read once more before it is called damage")
    func readOnceMore() async throws {
        let sample = try await Sample()
        for isPassing in [true, false] {
            let files = sample.files.crash(keeping: .keepAll)
            let place = sample.ends[3] + FrameHeader.size + 1
            let readOnly = ReaderFiles(files)
            try files.place(sample.log(2), at: sample.log)
            let reader = try await open(readOnly)
            try files.place(sample.log(9), at: sample.log)
            try files.flipBit(in: sample.log, atByte: place, bit: 3)
            let maps = MutexBox(0)
            readOnly.beforeEach { call, path in
                guard call == .map, path == sample.log else { return }
                maps.change { $0 += 1 }
                // The first look was too early.
                if isPassing, maps.value == 2 { try? files.flipBit(in: sample.log, atByte: place, bit: 3) }
            }
            do throws(StoreError) {
                #expect(try await reader.refresh())
                #expect(isPassing)
            } catch {
                #expect(!isPassing)
                #expect(error.code == .damaged)
                #expect(error.file == sample.log)
                #expect(error.offset == sample.ends[3])
            }
            #expect(maps.value == 2)
            // What was read before stays.
            expectSame(try StoreFacts(reader), sample.facts[isPassing ? 9 : 2], "afterwards")
        }
    }

    @Test("F27: a reader forgets a frame that the writer cut off, since its write failed in the end")
    func cutOff() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        try await store.append(.spawning(2))
        let reader = try await open(files)
        files.faults.fail(.write, at: 1, with: .noSpace, in: "log", bytesWritten: .max)
        #expect(await store.failure(of: .spawning(5))?.code == .noSpace)
        #expect(try await reader.refresh())
        #expect(reader.totals.live == 7, "a whole frame, for all that a reader can know")
        try await store.append(.spawning(1))
        #expect(try await reader.refresh())
        #expect(reader.totals.live == 3)
        expectSame(try StoreFacts(reader), try StoreFacts(store), "in the end")
        try await store.close()
    }
}

/// The decisions by themselves.
@Suite struct ReadAttemptsTests {
    @Test("F27: what was read is believed when no manifest came meanwhile, or when it began at the third one")
    func success() {
        var attempts = ReadAttempts()
        attempts.begin(generation: 7)
        attempts.begin(generation: 9)
        for (generation, newest, expected) in [
            (7, 7, true), (7, 8, false), (8, 8, true), (8, 9, false), (9, 10, true), (10, 12, true), (6, 5, false),
        ] as [(UInt64, UInt64, Bool)] {
            #expect(attempts.believes(generation: generation, newest: newest) == expected)
        }
    }

    @Test("F27: an error is believed when it comes twice under one manifest")
    func failure() {
        let here = StoreError(.damaged, "here", offset: 1)
        let there = StoreError(.damaged, "there", offset: 2)
        var attempts = ReadAttempts()
        #expect(attempts.failure(here, generation: 1) == nil)
        #expect(attempts.failure(there, generation: 1) == nil)
        #expect(attempts.failure(there, generation: 2) == nil)
        #expect(attempts.failure(there, generation: nil) == nil)
        #expect(attempts.failure(here, generation: 2) == nil)
        #expect(attempts.failure(here, generation: 2) == here)
    }

    @Test("F27: errors that change all the time end in a changed store, never in damage")
    func limit() {
        var attempts = ReadAttempts()
        for number in 1..<ReadAttempts.limit {
            #expect(attempts.failure(StoreError(.damaged, "", offset: number), generation: 1) == nil)
        }
        #expect(attempts.failure(StoreError(.damaged, "", offset: 0), generation: 1)?.code == .storeChanged)
    }
}
