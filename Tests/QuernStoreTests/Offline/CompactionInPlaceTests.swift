// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Compaction in place (S15)")
struct CompactionInPlaceTests {
    private static func compact(_ files: SimulatedFileSystem) throws -> CompactionInPlace.Report {
        try CompactionInPlace(
            of: OfflineFixture.store, fileSystem: files, configuration: OfflineFixture.configuration
        ).run()
    }

    @Test(
        "S15: a crash at any call loses nothing, and the next writer removes what it left", arguments: [true, false])
    func crashes(closes: Bool) async throws {
        let fixture = try await OfflineFixture.random(seed: closes ? 40 : 41, closes: closes, steps: 12)
        var count = -1
        // Most calls change nothing that a loss of power leaves.
        var seen: Set<[String: Digest]> = []
        while true {
            count += 1
            guard FaultPlaces.takes(count, oneIn: 2) else { continue }
            let files = fixture.files.crash(keeping: .keepAll)
            files.synchronizeAll()
            files.faults = .crashing(afterCall: count)
            let isDone = (try? Self.compact(files)) != nil && !files.isStopped
            for policy in [CrashPolicy.keepAll, .dropAll, .random(seed: UInt64(count), tearing: .sectors)] {
                let remains = files.crash(keeping: policy)
                guard seen.insert(try OfflineFixture.bytes(in: OfflineFixture.store, on: remains)).inserted else {
                    continue
                }
                let place = "crash after call \(count), \(policy)"
                expectSame(try await OfflineFixture.facts(of: OfflineFixture.store, on: remains), fixture.facts, place)
                try Self.expectNoLeftovers(remains, place)
            }
            if isDone { break }
        }
        #expect(count > 40)
    }

    @Test("S4: whichever call fails, once, the store goes on as it was", arguments: [Errno.ioError, .noSpace])
    func failingCalls(errno: Errno) async throws {
        let fixture = try await OfflineFixture.random(seed: 42, closes: true, steps: 12)
        var count = 0
        while true {
            count += 1
            guard FaultPlaces.takes(count, oneIn: 5) else { continue }
            let files = fixture.files.crash(keeping: .keepAll)
            files.faults = .failing(nil, at: count, with: errno)
            _ = try? Self.compact(files)
            if files.faultsFired == 0 { break }
            files.faults = FaultPlan()
            let place = "call \(count) fails with \(errno)"
            for remains in [files, files.crash(keeping: .dropAll)] {
                expectSame(try await OfflineFixture.facts(of: OfflineFixture.store, on: remains), fixture.facts, place)
                try Self.expectNoLeftovers(remains, place)
            }
        }
        #expect(count > 40)
    }

    /// All files are named by the checkpoint, are log, or are no store's.
    private static func expectNoLeftovers(_ files: SimulatedFileSystem, _ place: String) throws {
        let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        // The end of the log stays as it was found.
        #expect(store.findings.allSatisfy { $0.severity == .torn }, "\(place): \(store.findings)")
        let named = Set(store.segments.map(\.file.name))
        for name in try files.list(OfflineFixture.store) {
            let isKnown =
                switch StoreFiles.parse(name) {
                case (.index, _)?: named.contains(name)
                case (.checkpoint, _)?: name == store.checkpointFile?.name
                default: !StoreFiles.isTemporary(name)
                }
            #expect(isKnown, "\(place): \(name) is left")
        }
    }

    @Test("S15: it keeps only what counts, and once more changes no answer")
    func keepsWhatCounts() async throws {
        let fixture = try await OfflineFixture.random(seed: 50, closes: false)
        let files = fixture.files
        let report = try Self.compact(files)
        #expect(report.bytesAfter < report.bytesBefore)
        #expect(report.children == fixture.facts.children.values.reduce(0) { $0 + UInt64($1.count) })
        #expect(report.liveTasks == UInt64(fixture.facts.live.count))
        try Self.expectNoLeftovers(files, "compacted")
        let verified = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: files)
        #expect(verified.findings.isEmpty, "\(verified.findings)")
        let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        #expect(store.tail.isEmpty && store.state.dropped.isEmpty && store.state.openBlocks.isEmpty)
        _ = try Self.compact(files)
        expectSame(
            try await OfflineFixture.facts(of: OfflineFixture.store, on: files), fixture.facts, "compacted twice")
    }

    @Test("S1: while a writer has the store it says who, and changes nothing")
    func locked() async throws {
        let fixture = try await OfflineFixture.random(seed: 51, closes: true, steps: 20)
        let files = fixture.files
        let open = try await MemoStore.open(at: OfflineFixture.store, fileSystem: files)
        let before = try OfflineFixture.bytes(in: OfflineFixture.store, on: files)
        let error = #expect(throws: StoreError.self) { try Self.compact(files) }
        #expect(error?.code == .locked)
        #expect(try OfflineFixture.bytes(in: OfflineFixture.store, on: files) == before)
        try await open.close()
        #expect(throws: StoreError.self) {
            try CompactionInPlace(of: "/nowhere", fileSystem: files).run()
        }
        #expect(throws: FileError.self) { try files.list("/nowhere") }
    }

    @Test("S6: a damaged store is refused, and stays as it is for a repair")
    func damaged() async throws {
        let fixture = try await OfflineFixture.random(seed: 52, closes: true)
        let files = fixture.files
        let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        let segment = try #require(store.segments.first)
        let entry = try segment.entry(at: 0)
        try files.flipBit(
            in: OfflineFixture.store.appending(segment.file.name), atByte: Int(entry.offset) + FrameHeader.size, bit: 0)
        let error = #expect(throws: StoreError.self) { try Self.compact(files) }
        #expect(error?.code == .damaged)
        #expect(error?.file?.lastComponent?.string == segment.file.name)
        let salvage = try OfflineFixture.build("/new", on: files, for: .salvage)
        let children = fixture.facts.children.values.reduce(0) { $0 + UInt64($1.count) }
        #expect(salvage.children + entry.outcomeCounts.total >= children)
    }

    @Test("S4: on a full disk it takes the space that the store holds back for that")
    func reserve() async throws {
        let fixture = try await OfflineFixture.random(seed: 53, closes: true)
        let files = fixture.files
        let reserve = OfflineFixture.store.appending(StoreFiles.reserveName)
        try? files.remove(reserve)
        try files.place([UInt8](repeating: 0, count: files.usedBytes), at: reserve)
        var plan = FaultPlan()
        plan.capacity = files.usedBytes + (8 << 10)
        files.faults = plan
        let report = try Self.compact(files)
        #expect(report.bytesAfter < report.bytesBefore)
        expectSame(try await OfflineFixture.facts(of: OfflineFixture.store, on: files), fixture.facts, "full disk")
    }

    @Test("S4: on a full disk it fails, and the store goes on as it was")
    func fullDisk() async throws {
        let fixture = try await OfflineFixture.random(seed: 53, closes: true)
        let files = fixture.files
        var plan = FaultPlan()
        plan.capacity = files.usedBytes + (8 << 10)
        files.faults = plan
        let error = #expect(throws: StoreError.self) { try Self.compact(files) }
        #expect(error?.code == .noSpace)
        files.faults = FaultPlan()
        expectSame(try await OfflineFixture.facts(of: OfflineFixture.store, on: files), fixture.facts, "full disk")
    }
}
