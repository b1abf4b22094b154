// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Stores are built anew (S7, S15)")
struct StoreBuilderTests {
    @Test("S15: a store that is built of another answers as that one did", arguments: [1, 2, 3, 4] as [UInt64])
    func isTheSame(seed: UInt64) async throws {
        let fixture = try await OfflineFixture.random(seed: seed, closes: seed % 2 == 0)
        let contents = try OfflineFixture.build("/new", on: fixture.files)
        expectSame(try await OfflineFixture.facts(of: "/new", on: fixture.files), fixture.facts, "seed \(seed)")
        let verified = try StoreVerifier.verify(at: "/new", fileSystem: fixture.files)
        #expect(verified.findings.isEmpty, "\(verified.findings)")
        #expect(contents.children == fixture.facts.children.values.reduce(0) { $0 + UInt64($1.count) })
    }

    @Test(
        "S15: its files depend on the contents alone, not on their history", arguments: [5, 6, 7, 8] as [UInt64])
    func isCanonical(seed: UInt64) async throws {
        let fixture = try await OfflineFixture.random(seed: seed, closes: seed % 2 == 0)
        let files = fixture.files
        _ = try OfflineFixture.build("/new", on: files)
        let expected = try OfflineFixture.bytes(in: "/new", on: files)
        _ = try OfflineFixture.build("/again", of: "/new", on: files)
        #expect(try OfflineFixture.bytes(in: "/again", on: files) == expected)
        let salvage = try OfflineFixture.build("/salvaged", on: files, for: .salvage)
        #expect(salvage.losses.isEmpty)
        #expect(try OfflineFixture.bytes(in: "/salvaged", on: files) == expected)
        let rebuilt = try OfflineFixture.build("/rebuilt", on: files, for: .rebuiltIndex)
        #expect(rebuilt.losses.isEmpty)
        #expect(try OfflineFixture.bytes(in: "/rebuilt", on: files) == expected)
        _ = try CompactionInPlace(
            of: OfflineFixture.store, fileSystem: files, configuration: OfflineFixture.configuration
        ).run()
        _ = try OfflineFixture.build("/compacted", on: files)
        #expect(try OfflineFixture.bytes(in: "/compacted", on: files) == expected)
    }

    @Test("S10: each parent's children lie side by side in full blocks")
    func isClustered() async throws {
        let fixture = try await OfflineFixture.random(seed: 9, closes: true)
        _ = try OfflineFixture.build("/new", on: fixture.files)
        let store = try OfflineStore.read(at: "/new", fileSystem: fixture.files)
        #expect(store.findings.isEmpty && store.tail.isEmpty && store.state.openBlocks.isEmpty)
        var last: DirectoryEntry?
        for segment in store.segments {
            try segment.forEachEntry { entry in
                if let last { #expect(last < entry) }
                last = entry
            }
        }
        #expect(last != nil)
    }

    @Test("S7: it is built in an empty directory alone, and a build that fails leaves nothing")
    func needsRoom() async throws {
        let fixture = try await OfflineFixture.random(seed: 10, closes: true, steps: 30)
        let files = fixture.files
        try files.place([1], at: "/other/notes")
        #expect(throws: StoreError.self) { try OfflineFixture.build("/other", on: files) }
        #expect(try files.list("/other") == ["notes"])
        #expect(throws: StoreError.self) { try OfflineFixture.build(OfflineFixture.store, on: files) }
        files.faults = .failing(.rename, at: 3)
        #expect(throws: StoreError.self) { try OfflineFixture.build("/new", on: files) }
        #expect(try files.list("/new").isEmpty)
        files.faults = FaultPlan()
        _ = try OfflineFixture.build("/new", on: files)
    }

    @Test(
        "S7: killed at any call, what is left of a build or a copy is no store, and says so", arguments: [true, false])
    func killed(copies: Bool) async throws {
        let fixture = try await OfflineFixture.random(seed: 13, closes: true, steps: 12)
        var count = 0
        var seen: Set<StoreError.Code> = []
        while true {
            let files = fixture.files.crash(keeping: .keepAll)
            files.synchronizeAll()
            files.faults = .crashing(afterCall: count)
            let isDone = (try? Self.make(copies, on: files)) != nil && !files.isStopped
            let remains = files.crash(keeping: .keepAll)
            if isDone { break }
            count += 1
            let hasManifest = ((try? remains.list("/new")) ?? []).contains(StoreFiles.manifestName)
            if hasManifest { continue }
            for attempt in 0..<3 {
                do {
                    switch attempt {
                    case 0: _ = try OfflineStore.read(at: "/new", fileSystem: remains)
                    case 1:
                        _ = try await MemoStore.open(at: "/new", fileSystem: remains.crash(keeping: .keepAll)).close()
                    default: try Self.make(copies, on: remains)
                    }
                    #expect(attempt > 0)
                } catch let error as StoreError {
                    seen.insert(error.code)
                    #expect(error.code == .notFound || error.message.contains("remove the directory"), "\(error)")
                }
            }
        }
        #expect(seen.contains(.notAStore))
    }

    private static func make(_ copies: Bool, on files: SimulatedFileSystem) throws {
        if copies {
            _ = try StoreCopy.run(of: OfflineFixture.store, into: "/new", isLive: true, fileSystem: files)
        } else {
            _ = try OfflineFixture.build("/new", on: files)
        }
    }

    @Test("S15: what a build would take is known without it")
    func isMeasured() async throws {
        let fixture = try await OfflineFixture.random(seed: 11, closes: true)
        _ = try OfflineFixture.build("/new", on: fixture.files)
        let measure = MeasuringFileSystem()
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files), for: .whole)
        try StoreBuilder.build(at: "/new", fileSystem: measure, configuration: OfflineFixture.configuration) {
            try contents.tell(&$0)
        }
        let bytes = try OfflineFixture.bytes(in: "/new", on: fixture.files).values.reduce(0) { $0 + $1.count }
        #expect(measure.bytes == bytes)
    }

    @Test("S6: without its checkpoint its log still tells what is live")
    func logIsEnough() async throws {
        let fixture = try await OfflineFixture.random(seed: 12, closes: true)
        let files = fixture.files
        _ = try OfflineFixture.build("/new", on: files)
        try files.remove("/new/checkpoint-0000000001")
        try files.remove("/new/mirror-0000000001")
        let salvage = try OfflineFixture.build("/salvaged", of: "/new", on: files, for: .salvage)
        #expect(salvage.losses.count == 1)
        var facts = try await OfflineFixture.facts(of: "/salvaged", on: files)
        facts.nextID = fixture.facts.nextID
        facts.parents = fixture.facts.parents
        for (id, task) in fixture.facts.live where task.detail == LiveTasks.Detail() {
            facts.live[id]?.detail = .init()
        }
        expectSame(facts, fixture.facts, "without a checkpoint")
    }

    @Test("S17: what is built of a golden store reads as that one does to the reader made from FORMAT.md")
    func golden() throws {
        for store in try GoldenStores.all() {
            let directory = try TemporaryDirectory()
            let path = directory.path.appending("built")
            var contents = try OfflineContents(of: try OfflineStore.read(at: FilePath(store.path)), for: .whole)
            try StoreBuilder.build(at: path) { try contents.tell(&$0) }
            let expected = try String(contentsOf: store.appendingPathExtension("dump"), encoding: .utf8)
            let isSame = try PythonReader.read(URL(filePath: path.string)) == .content(expected)
            #expect(isSame, "Python reads what is built of \(store.lastPathComponent) otherwise")
        }
    }
}
