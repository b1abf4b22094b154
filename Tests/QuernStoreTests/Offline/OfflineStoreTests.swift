// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What the offline tools see of a store is what a reader of it sees (S1, F26 to F28).
@Suite("A store read offline (S1, F26, F27, F28)")
struct OfflineStoreTests {
    private func expectSame(_ files: any FileSystem, at directory: FilePath = "/store", _ place: String) async throws {
        let reader = try StoreFacts(try await MemoReader.open(at: directory, fileSystem: files))
        let offline = try OfflineStore.read(at: directory, fileSystem: files)
        #expect(offline.findings.filter { $0.severity == .damage } == [], "\(place)")
        QuernStoreTests.expectSame(try StoreFacts(offline), reader, place)
    }

    @Test("The golden stores are read as by a reader, without a finding")
    func golden() async throws {
        for store in try GoldenStores.all() {
            try await expectSame(PosixFileSystem(), at: FilePath(store.path), store.lastPathComponent)
        }
    }

    @Test(
        "F26: a store in use is read as by a reader after each of its commits, and nothing of it is written or locked")
    func live() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files) { store in
            let readOnly = ReaderFiles(files)
            let offline = try OfflineStore.read(at: "/store", fileSystem: readOnly)
            #expect(offline.findings.filter { $0.severity != .note } == [])
            QuernStoreTests.expectSame(try StoreFacts(offline), try StoreFacts(store), "live")
            #expect(readOnly.refusedCalls.isEmpty)
        }
        #expect(result.error == nil)
        try await expectSame(files.crash(keeping: .keepAll), "killed")
        try await result.store?.close()
        try await expectSame(files, "closed")
    }

    @Test("Stores made at random are read as by a reader, open and closed", arguments: 1...3)
    func random(round: Int) async throws {
        let seed = UInt64.random(in: .min ... .max)
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        var random = RandomStore(seed: seed)
        let store = try await random.make(at: path, steps: 60)
        try await expectSame(PosixFileSystem(), at: path, "seed \(seed), open")
        try await store.close()
        try await expectSame(PosixFileSystem(), at: path, "seed \(seed), closed")
    }

    @Test("F11: a torn end of the log is told as such, and what was whole before it is read")
    func tornTails() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        var facts = [try StoreFacts(store)]
        let log: FilePath = "/store/log-0000000001"
        var ends = [files.contents(log)?.count ?? 0]
        for transaction in [Transaction.spawning(3), .spawning(2, under: 1), .ending([4], under: 1)] {
            try await store.append(transaction)
            facts.append(try StoreFacts(store))
            ends.append(files.contents(log)?.count ?? 0)
        }
        await Workload.abandon(store, on: files)
        files.faults = FaultPlan()
        for length in ends[0]...ends[3] {
            for zeros in [0, 512] {
                let copy = files.crash(keeping: .keepAll)
                try copy.truncate(log, to: length)
                try copy.truncate(log, to: length + zeros)
                let reader = try StoreFacts(try await MemoReader.open(at: "/store", fileSystem: copy))
                let offline = try OfflineStore.read(at: "/store", fileSystem: copy)
                QuernStoreTests.expectSame(try StoreFacts(offline), reader, "\(length) bytes, \(zeros) zeros")
                #expect(facts.contains(reader))
                let findings = offline.findings
                #expect(findings.allSatisfy { $0.severity == .torn && $0.file == "log-0000000001" })
                #expect(findings.count == (ends.contains(length) ? 0 : findings.count))
            }
        }
    }

    @Test("F11: parts of a batch without their commit frame are damage in a segment that others follow")
    func partsBeforeSuccessor() async throws {
        let files = SimulatedFileSystem()
        let configuration = MemoStore.Configuration.exactLog
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var large = Transaction()
        for index in 0..<3 {
            large.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                $0.append(contentsOf: [UInt8](repeating: UInt8(index), count: 1 << 20))
            }
        }
        let start = files.contents("/store/log-0000000001")?.count ?? 0
        try await store.append(large)
        await Workload.abandon(store, on: files)
        files.faults = FaultPlan()
        let file = try RawFile("log-0000000001", in: "/store", files)
        let header = try file.header.get()
        var walk = FrameWalk(file, from: start, segment: 1, seed: header.identity.seed)
        guard case .frame(let part)? = try walk.next() else { return #expect(Bool(false)) }
        #expect(part.header.kind == .part)
        let next = FileHeader(
            kind: .log, number: 2, identity: header.identity, epoch: 2,
            previousLength: UInt64(part.offset + part.length),
            previousChecksum: part.header.checksum)
        try files.place(next.encoded(), at: "/store/log-0000000002")
        let offline = try OfflineStore.read(at: "/store", fileSystem: files)
        #expect(offline.findings.map(\.severity) == [.damage])
        #expect(offline.findings.map(\.file) == ["log-0000000001"])
        #expect(offline.findings.map(\.offset) == [start])
    }

    @Test("A log segment whose file header is damaged says nothing of the segment before it")
    func damagedSuccessor() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1024
        configuration.logReserveBytes = 700
        configuration.reserveBytes = 0
        configuration.checkpointBytes = 1 << 30
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<30 { try await store.append(.spawning(4)) }
        let facts = try StoreFacts(store)
        await Workload.abandon(store, on: files)
        files.faults = FaultPlan()
        let logs = try files.list("/store").filter { $0.hasPrefix("log") }.sorted()
        #expect(logs.count > 3)
        let copy = try files.copy(damaging: logs[2]) { try $0.flipBit(in: $1, atByte: 77, bit: 1) }
        let offline = try OfflineStore.read(at: "/store", fileSystem: copy)
        #expect(offline.findings.filter { $0.severity == .damage }.map(\.file) == [logs[2]])
        QuernStoreTests.expectSame(try StoreFacts(offline), facts, "all batches are read")
    }
}

extension SimulatedFileSystem {
    /// A copy of the store's files with damage done to one of them.
    fileprivate func copy(damaging name: String, _ damage: (SimulatedFileSystem, FilePath) throws -> Void) rethrows
        -> SimulatedFileSystem
    {
        let copy = crash(keeping: .keepAll)
        try damage(copy, Workload.directory.appending(name))
        return copy
    }
}
