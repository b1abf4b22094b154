// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct DirectoryRecordTests {
    private let directory = TemporaryDirectory()

    private func changes(since record: [UInt8]) throws -> DirectoryChanges {
        let listing = try directory.lister().list(PathBytes([]))
        return withRecord(record) { DirectoryChanges(of: listing.entries, since: $0) }
    }

    private func record() throws -> [UInt8] {
        DirectoryRecord.encode(try directory.lister().list(PathBytes([])).entries)
    }

    @Test func eachKindOfChangeIsSeen() throws {
        for name in ["a", "b", "c", "d", "e", "same", "gone"] {
            directory.makeFile(name, size: 5)
            directory.touch(name, seconds: 1_700_000_000)
        }
        let before = try record()
        #expect(try changes(since: before) == DirectoryChanges(skipped: 7))
        directory.touch("a", seconds: 1_700_000_000, nanoseconds: 1)
        directory.changeMode("b", 0o600)
        directory.remove("c")
        directory.makeFile("c", size: 6)
        directory.touch("c", seconds: 1_700_000_000)
        directory.remove("d")
        directory.makeLink("d", to: "fiver")
        directory.touch("d", seconds: 1_700_000_000)
        directory.remove("e")
        directory.makeDirectory("e")
        directory.remove("gone")
        directory.makeFile("new")
        #expect(try changes(since: before) == DirectoryChanges(discovered: 5, skipped: 1, deleted: 2))
        #expect(try changes(since: record()) == DirectoryChanges(skipped: 6))
    }

    /// A copy that keeps times, as a restored backup does, is the same tree: inodes and change times do not count.
    @Test func copyWithTimesIsTheSame() throws {
        let copy = TemporaryDirectory()
        for name in ["a", "b"] {
            for target in [directory, copy] {
                target.makeFile(name, size: 9)
                target.touch(name, seconds: 1_600_000_000, nanoseconds: 123)
            }
        }
        #expect(try record() == DirectoryRecord.encode(copy.lister().list(PathBytes([])).entries))
    }

    /// Against a dictionary, with thousands of random pairs of directories.
    @Test func comparisonAgreesWithADictionary() {
        var generator = SeededGenerator()
        for round in 0..<3000 {
            let universe = UInt64.random(in: 1...40, using: &generator)
            let limit = round % 3 == 0 ? Int.random(in: 0...20, using: &generator) : DirectoryRecord.limit
            let old = Self.entries(upTo: universe, &generator)
            let new = Self.entries(upTo: universe, &generator)
            let bytes = DirectoryRecord.encode(Self.sorted(old), limit: limit)
            let found = withRecord(bytes) { DirectoryChanges(of: Self.sorted(new), since: $0) }
            #expect(found == Self.model(old, new, limit), "\(generator), round \(round)")
        }
    }

    private static func entries(upTo universe: UInt64, _ generator: inout SeededGenerator) -> [UInt64: UInt64] {
        var entries: [UInt64: UInt64] = [:]
        for name in 0..<universe where Bool.random(using: &generator) {
            entries[name &* 0x9E37_79B9_7F4A_7C15] = UInt64.random(in: 0...2, using: &generator)
        }
        return entries
    }

    private static func sorted(_ entries: [UInt64: UInt64]) -> [EntryRecord] {
        entries.map { EntryRecord(nameHash: $0.key, fingerprint: $0.value) }.sorted()
    }

    private static func model(_ old: [UInt64: UInt64], _ new: [UInt64: UInt64], _ limit: Int) -> DirectoryChanges {
        let remembered = Set(old.keys.sorted().prefix(limit))
        let horizon = remembered.count == old.count ? .max : remembered.max() ?? 0
        var changes = DirectoryChanges()
        for (name, value) in new {
            if remembered.contains(name) && old[name] == value {
                changes.skipped += 1
            } else {
                changes.discovered += 1
                if !remembered.contains(name) && name > horizon { changes.unremembered += 1 }
            }
        }
        changes.deleted = UInt64(remembered.filter { new[$0] == nil }.count)
        return changes
    }

    @Test func sharedHashesKeepTheSums() {
        let twins = [EntryRecord(nameHash: 7, fingerprint: 1), EntryRecord(nameHash: 7, fingerprint: 2)]
        withRecord(DirectoryRecord.encode(twins)) { record in
            #expect(DirectoryChanges(of: twins, since: record) == DirectoryChanges(skipped: 2))
            #expect(DirectoryChanges(of: [twins[0]], since: record) == DirectoryChanges(skipped: 1, deleted: 1))
            #expect(
                DirectoryChanges(of: twins + [EntryRecord(nameHash: 8, fingerprint: 0)], since: record)
                    == DirectoryChanges(discovered: 1, skipped: 2))
        }
    }

    @Test func recordsOfTheLargestSizeFitAMemo() {
        #expect(
            DirectoryMemo.headerLength + 16 * 1000 + DirectoryRecord.headerLength
                + DirectoryRecord.limit * DirectoryRecord.entryLength < 16 << 20)
    }

    @Test func bytesThatAreNoRecordAreRefused() {
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 0, count: 24), [UInt8](repeating: 255, count: 23)] {
            withRecord(bytes) { #expect($0 == nil) }
        }
        withRecord([UInt8](repeating: 0, count: 8)) { #expect($0?.total == 0) }
    }

    @Test func memosRoundTrip() throws {
        directory.makeFile("f", size: 3)
        directory.makeDirectory("d")
        var listing = try directory.lister().list(PathBytes([]))
        listing.otherFileSystems = listing.subdirectories
        let path = PathBytes("some/where")
        let memo = DirectoryMemo(
            of: listing, at: path,
            changes: DirectoryChanges(discovered: 1, skipped: 2, deleted: 3, unremembered: 4))
        let encoded = memo.encode()
        #expect(encoded.withUnsafeBytes { DirectoryMemo(decoding: $0) } == memo)
        #expect(memo.leftOut == [DirectoryKey(PathBytes("some/where/d"))])
        #expect(memo.files == 3 && memo.bytes == 3)
        for length in 0..<encoded.count {
            let cut = Array(encoded.prefix(length))
            let decoded = cut.withUnsafeBytes { DirectoryMemo(decoding: $0) }
            #expect(decoded == nil || length == encoded.count - 16)
        }
    }
}
