// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

@Suite struct CatalogSnapshotTests {
    private let directory = TemporaryDirectory()
    private let scope = DirectoryKey(PathBytes("/scanned"))

    private func write(
        _ name: String, _ records: [(DirectoryKey, [UInt8])], runLength: Int = IndexSorter.runLength
    ) throws -> SnapshotSummary {
        let writer = try SnapshotWriter(
            at: directory.path.appending(name), scan: 1, scope: scope, runLength: runLength)
        for (key, record) in records {
            try record.withUnsafeBytes { try writer.add(key, parent: .none, record: $0) }
        }
        return try writer.finish(since: nil)
    }

    private func open(_ name: String) throws -> CatalogSnapshot { try CatalogSnapshot(directory.path.appending(name)) }

    private func fingerprints(_ key: DirectoryKey, in snapshot: CatalogSnapshot) throws -> [UInt64]? {
        try snapshot.withRecord(of: key) { record in record.map { r in (0..<r.remembered).map { r[$0].fingerprint } } }
    }

    private static func record(_ fingerprints: [UInt64]) -> [UInt8] {
        DirectoryRecord.encode(
            fingerprints.enumerated().map { EntryRecord(nameHash: UInt64($0.offset), fingerprint: $0.element) })
    }

    /// More than three full runs and a short one, against a dictionary.
    @Test func manyDirectoriesThroughSeveralRuns() throws {
        var generator = SeededGenerator()
        var model: [DirectoryKey: [UInt64]] = [:]
        while model.count < 220_000 {
            // Half of them spread as hashes do, the others crowd where no guess finds them.
            let spread: UInt64 = Bool.random(using: &generator) ? .max : 50_000
            let key = DirectoryKey(parentHash: generator.next() % spread, hash: generator.next())
            model[key] = (0..<Int.random(in: 0...3, using: &generator)).map { _ in generator.next() }
        }
        let records = model.map { ($0.key, Self.record($0.value)) }
        let summary = try write("many", records)
        #expect(summary.directories == 220_000)
        #expect(summary.entries == UInt64(model.values.map(\.count).reduce(0, +)))
        #expect(summary.duplicates == 0)
        let snapshot = try open("many")
        #expect(snapshot.header.scan == 1 && snapshot.header.scope == scope)
        var wrong = 0
        for (key, expected) in model where try fingerprints(key, in: snapshot) != expected { wrong += 1 }
        #expect(wrong == 0, "\(generator)")
        for _ in 0..<1000 {
            let absent = DirectoryKey(parentHash: generator.next() % 50_000, hash: generator.next())
            #expect(try fingerprints(absent, in: snapshot) == model[absent], "\(generator)")
        }
        #expect(try directory.names() == ["many"])
    }

    /// The same directories in another order and other runs: the same index, whatever the runs.
    @Test(arguments: [1, 2, 7, 100, 1000, 1001])
    func runsOfAnyLength(runLength: Int) throws {
        var generator = SeededGenerator()
        let keys = (0..<1000).map { DirectoryKey(PathBytes("\($0)")) }
        let records = keys.map { ($0, Self.record([$0.hash])) }.shuffled(using: &generator)
        #expect(try write("runs", records, runLength: runLength).directories == 1000)
        let snapshot = try open("runs")
        for key in keys { #expect(try fingerprints(key, in: snapshot) == [key.hash], "\(generator)") }
    }

    /// Pages leave memory while other threads read them, and nobody notices.
    @Test func manyThreadsSearchAtOnce() async throws {
        let keys = (0..<20_000).map { DirectoryKey(PathBytes("\($0 % 100)/\($0)")) }
        _ = try write("shared", keys.map { ($0, Self.record([$0.hash])) })
        let snapshot = try open("shared")
        try await withThrowingTaskGroup(of: Int.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    var right = 0
                    for key in keys[(thread * 5000)...] + keys[..<(thread * 5000)] {
                        let found = try snapshot.withRecord(of: key) { $0?[0].fingerprint }
                        if found == key.hash { right += 1 }
                    }
                    return right
                }
            }
            for try await right in group { #expect(right == keys.count) }
        }
    }

    @Test func emptySnapshot() throws {
        #expect(try write("empty", []).directories == 0)
        #expect(try fingerprints(.none, in: open("empty")) == nil)
    }

    /// A writer that is killed leaves files that the next one overwrites; the same input gives the same bytes.
    @Test func repeatedWritingGivesTheSameBytes() throws {
        let records = (0..<500).map { (DirectoryKey(PathBytes("\($0)")), Self.record([UInt64($0)])) }
        _ = try write("snapshot", records, runLength: 64)
        let first = directory.read("snapshot")
        for suffix in [".new", ".runs", ".index", ".seen"] {
            directory.write("snapshot\(suffix)", [UInt8](repeating: 0xAB, count: 1 << 20))
        }
        _ = try write("snapshot", records, runLength: 64)
        #expect(directory.read("snapshot") == first)
        #expect(try directory.names() == ["snapshot"])
    }

    @Test func abandonedWriterLeavesThePreviousSnapshot() throws {
        _ = try write("snapshot", [(.none, Self.record([1]))])
        let before = directory.read("snapshot")
        do {
            let writer = try SnapshotWriter(at: directory.path.appending("snapshot"), scan: 2, scope: scope)
            try Self.record([2]).withUnsafeBytes { try writer.add(.none, parent: .none, record: $0) }
        }
        #expect(directory.read("snapshot") == before)
        #expect(try directory.names() == ["snapshot"])
    }

    @Test func secondDirectoryOfOneKeyIsLeftOutAndReported() throws {
        let key = DirectoryKey(PathBytes("twice"))
        let summary = try write("twins", [(key, Self.record([1])), (key, Self.record([2, 3]))])
        #expect(summary.duplicates == 1 && summary.directories == 1 && summary.entries == 1)
        #expect(try fingerprints(key, in: open("twins")) == [1])
    }

    /// Each byte of a file damaged in several ways: a typed error, or, never, a wrong answer.
    @Test func everyDamagedByteIsFound() throws {
        let keys = ["", "a", "a/b"].map { DirectoryKey(PathBytes($0)) }
        _ = try write("good", keys.map { ($0, Self.record([$0.parentHash, $0.hash])) })
        let good = directory.read("good")
        for position in good.indices {
            for flip in [0x01, 0x80, 0xFF] as [UInt8] {
                var bad = good
                bad[position] ^= flip
                directory.write("bad", bad)
                #expect(throws: SnapshotError.self, "byte \(position)") {
                    let snapshot = try open("bad")
                    for key in keys where try fingerprints(key, in: snapshot) != [key.parentHash, key.hash] {
                        Issue.record("wrong answer with byte \(position) turned")
                    }
                }
            }
        }
    }

    @Test func everyCutFileIsRefused() throws {
        _ = try write("good", [(.none, Self.record([1, 2]))])
        let good = directory.read("good")
        for length in 0..<good.count {
            directory.write("cut", Array(good.prefix(length)))
            #expect(throws: SnapshotError.self) { try open("cut") }
        }
        directory.write("long", good + [0])
        #expect(throws: SnapshotError.damaged(.length, directory.path.appending("long"))) { try open("long") }
    }

    @Test func otherFilesAreRefusedByName() throws {
        directory.write("text", Array("this is no snapshot at all".utf8))
        #expect(throws: SnapshotError.notASnapshot(directory.path.appending("text"))) { try open("text") }
        #expect(throws: SnapshotError.self) { try open("missing") }
    }

    @Test func folderFindsThePreviousScan() throws {
        let folder = SnapshotFolder(directory.path.appending("snapshots"))
        try folder.create()
        try folder.create()
        #expect(try folder.latest(before: 100) == nil)
        for scan in [3, 20, 100] as [UInt64] {
            let writer = try SnapshotWriter(at: folder.file(of: scan), scan: scan, scope: scope)
            _ = try writer.finish(since: nil)
        }
        directory.write("snapshots/snapshot-20.new", [1])
        directory.write("snapshots/notes", [1])
        #expect(try folder.latest(before: 100) == 20)
        #expect(try folder.latest(before: 20) == 3)
        #expect(try folder.latest(before: .max) == 100)
        try folder.removeAll(before: 100)
        #expect(try folder.latest(before: 100) == nil)
        #expect(directory.read("snapshots/notes") == [1])
        #expect(try CatalogSnapshot(folder.file(of: 100)).header.scan == 100)
    }
}
