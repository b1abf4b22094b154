// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A store that is whole is told to be whole, in whatever state it is met (F12, F26, F27).
@Suite("Verification of stores that are whole (F12, F26, F27)")
struct StoreVerifierTests {
    private func expectWhole(
        _ files: any FileSystem, at directory: FilePath = "/store", _ place: String, notes: Bool = true
    ) throws {
        for isQuick in [false, true] {
            let found = try StoreVerifier.verify(
                at: directory, fileSystem: files, options: .init(isQuick: isQuick, threads: 2))
            #expect(!found.isDamaged, "\(place): \(found.findings)")
            #expect(found.findings.allSatisfy { $0.severity == .note }, "\(place): \(found.findings)")
        }
    }

    @Test("The golden stores are whole")
    func golden() throws {
        for store in try GoldenStores.all() {
            try expectWhole(PosixFileSystem(), at: FilePath(store.path), store.lastPathComponent)
        }
    }

    @Test("S4: without a descriptor for one of its files no store is damaged, nor repaired without it")
    func withoutDescriptors() async throws {
        let fixture = try await OfflineFixture.random(seed: 7, closes: true, steps: 12)
        func isRefused<Value>(_ count: Int, _ body: (SimulatedFileSystem) throws -> Value) -> Bool {
            let files = fixture.files.crash(keeping: .keepAll)
            files.faults = .failing(.open, at: count, with: .tooManyOpenFiles, .fromThenOn)
            do { _ = try body(files) } catch {
                #expect((error as? StoreError)?.isTransient == true, "open \(count): \(error)")
                return true
            }
            return false
        }
        var counts = (verified: 1, repaired: 1)
        while isRefused(counts.verified, { try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: $0) }) {
            counts.verified += 1
        }
        while isRefused(counts.repaired, { try OfflineFixture.build("/new", on: $0, for: .salvage) }) {
            counts.repaired += 1
        }
        let files = try fixture.files.list(OfflineFixture.store).count { StoreFiles.parse($0) != nil }
        #expect(counts.verified > files && counts.repaired > files)
    }

    @Test("F26: a store in use is whole after each of its commits, and nothing of it is written or locked")
    func live() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files) { _ in
            let readOnly = ReaderFiles(files)
            try expectWhole(readOnly, "live")
            #expect(readOnly.refusedCalls.isEmpty)
        }
        #expect(result.error == nil)
        try expectWhole(files.crash(keeping: .keepAll), "killed")
        try await result.store?.close()
        try expectWhole(files, "closed")
    }

    @Test("Stores made at random are whole, open and closed, before and behind a compaction", arguments: 1...6)
    func random(round: Int) async throws {
        let seed = UInt64.random(in: .min ... .max)
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        var random = RandomStore(seed: seed)
        let store = try await random.make(at: path, steps: 80)
        try expectWhole(PosixFileSystem(), at: path, "seed \(seed), open")
        _ = try await store.compact()
        try expectWhole(PosixFileSystem(), at: path, "seed \(seed), compacted")
        try await store.close()
        try expectWhole(PosixFileSystem(), at: path, "seed \(seed), closed")
    }

    @Test("F12: a store whose process or machine died is whole, but for what was never acknowledged", arguments: 1...6)
    func crashes(seed: UInt64) async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything, checkpoints: .later, seed: seed)
        let result = try await workload.run(on: files) { _ in
            for policy in [CrashPolicy.keepAll, .random(seed: seed)] {
                let found = try StoreVerifier.verify(at: "/store", fileSystem: files.crash(keeping: policy))
                #expect(!found.isDamaged, "\(found.findings)")
            }
        }
        #expect(result.error == nil)
        await Workload.close(result.store)
    }

    @Test("How far it has come is told, up to all bytes")
    func progress() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        await Workload.abandon(result.store, on: files)
        var told: [StoreVerifier.Progress] = []
        let found = try StoreVerifier.verify(at: "/store", fileSystem: files.crash(keeping: .keepAll)) {
            told.append($0)
        }
        let last = try #require(told.last)
        #expect(last.done == last.total && last.total == found.bytes && found.bytes > 10_000)
        #expect(zip(told, told.dropFirst()).allSatisfy { $0.done <= $1.done })
        #expect(found.children > 0 && found.blocks > 0 && found.liveTasks > 0)
    }

    @Test("What does not count is a note and no damage")
    func leftovers() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store.close()
        try files.place([1, 2, 3], at: "/store/index-0000000077.new")
        try files.place([1, 2, 3], at: "/store/core")
        try files.place(files.contents("/store/log-0000000001") ?? [], at: "/store/index-0000000050")
        let found = try StoreVerifier.verify(at: "/store", fileSystem: files)
        #expect(found.findings.map(\.severity) == [.note, .note, .note])
        #expect(found.findings.map(\.file) == ["core", "index-0000000050", "index-0000000077.new"])
    }

    @Test("A directory without a store, and a file in the place of one, are errors")
    func noStore() throws {
        let files = SimulatedFileSystem()
        #expect(throws: StoreError.self) { try StoreVerifier.verify(at: "/nothing", fileSystem: files) }
        try files.createDirectory("/empty")
        let error = #expect(throws: StoreError.self) { try StoreVerifier.verify(at: "/empty", fileSystem: files) }
        #expect(error?.code == .notFound)
    }
}
