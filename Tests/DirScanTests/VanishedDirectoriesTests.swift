// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

/// What a snapshot makes of directories that a scan did not come across.
@Suite struct VanishedDirectoriesTests {
    private let directory = TemporaryDirectory()

    /// Writes the snapshot of a scan that listed some directories, each with so many entries, and failed on others.
    private func scan(
        _ number: UInt64, listed: [String: Int], unlisted: [String] = [], since previous: CatalogSnapshot? = nil,
        unknownFailure: Bool = false
    ) throws -> (summary: SnapshotSummary, snapshot: CatalogSnapshot) {
        let path = directory.path.appending("snapshot-\(number)")
        let writer = try SnapshotWriter(at: path, scan: number, scope: .none, runLength: 16)
        for (name, count) in listed {
            let entries = (0..<count).map { EntryRecord(nameHash: UInt64($0), fingerprint: number) }
            try DirectoryRecord.encode(entries).withUnsafeBytes {
                let path = PathBytes(name)
                try writer.add(DirectoryKey(path), parent: .parent(of: path), record: $0)
            }
        }
        for name in unlisted {
            try writer.addUnlisted(DirectoryKey(PathBytes(name)), parent: .parent(of: PathBytes(name)))
        }
        if unknownFailure { writer.addUnknownFailure() }
        return (try writer.finish(since: previous), try CatalogSnapshot(path))
    }

    private func count(_ name: String, in snapshot: CatalogSnapshot) throws -> Int? {
        try snapshot.withRecord(of: DirectoryKey(PathBytes(name))) { $0?.remembered }
    }

    private let tree = ["": 1, "a": 2, "a/b": 4, "a/b/c": 8, "z": 16]

    @Test func goneWithItsTree() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: ["": 1, "z": 16], since: first.snapshot)
        #expect(second.summary.deletedEntries == 14 && second.summary.deletedDirectories == 3)
        #expect(second.summary.directories == 2 && second.summary.carriedDirectories == 0)
        #expect(try count("a/b", in: second.snapshot) == nil)
    }

    @Test func belowAFailedDirectoryNothingIsDeleted() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: ["": 1], unlisted: ["a"], since: first.snapshot)
        #expect(second.summary.deletedEntries == 16 && second.summary.deletedDirectories == 1)
        #expect(second.summary.carriedDirectories == 3)
        #expect(try count("a", in: second.snapshot) == 2)
        #expect(try count("a/b/c", in: second.snapshot) == 8)
        // A scan later it can be read again, and less is in it.
        let third = try scan(3, listed: ["": 1, "a": 2, "a/b": 4], since: second.snapshot)
        #expect(third.summary.deletedEntries == 8 && third.summary.carriedDirectories == 0)
    }

    @Test func failedRootKeepsEverything() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: [:], unlisted: [""], since: first.snapshot)
        #expect(second.summary.deletedEntries == 0 && second.summary.carriedDirectories == 5)
        #expect(second.summary.entries == 31)
    }

    @Test func failureOfANewDirectoryIsNotRemembered() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: tree, unlisted: ["new"], since: first.snapshot)
        #expect(second.summary.directories == 5 && second.summary.deletedEntries == 0)
        #expect(try count("new", in: second.snapshot) == nil)
    }

    @Test func failureThatNobodyCanNameKeepsEverything() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: ["": 1], since: first.snapshot, unknownFailure: true)
        #expect(second.summary.deletedEntries == 0 && second.summary.carriedDirectories == 4)
    }

    /// Also when the directory itself is listed: its record is the new one.
    @Test func listedWinsOverUnlisted() throws {
        let first = try scan(1, listed: tree)
        let second = try scan(2, listed: tree.merging(["a": 3]) { $1 }, unlisted: ["a"], since: first.snapshot)
        #expect(try count("a", in: second.snapshot) == 3)
        #expect(second.summary.duplicates == 0)
    }

    @Test func deepTreeGoesAtOnce() throws {
        var listed = ["": 1]
        var path = PathBytes("top")
        for _ in 0..<2000 {
            listed[path.description] = 1
            path = path.appending("d")
        }
        let first = try scan(1, listed: listed)
        let second = try scan(2, listed: ["": 1], since: first.snapshot)
        #expect(second.summary.deletedEntries == 2000)
        let third = try scan(3, listed: ["": 1], unlisted: ["top"], since: first.snapshot)
        #expect(third.summary.carriedDirectories == 2000)
    }

    /// Random trees that shrink, grow and fail, over several scans, against a model that knows the paths.
    @Test func agreesWithAModelThatKnowsThePaths() throws {
        var generator = SeededGenerator()
        for round in 0..<40 {
            var disk: Set<String> = [""]
            var known: [String: Int] = [:]
            var snapshot: CatalogSnapshot?
            for number in 1...6 as ClosedRange<UInt64> {
                Self.change(&disk, &generator)
                let failing = Set(disk.filter { _ in Int.random(in: 0..<12, using: &generator) == 0 })
                let reached = disk.filter { path in Self.ancestors(of: path).allSatisfy { !failing.contains($0) } }
                let listed = Dictionary(
                    uniqueKeysWithValues: reached.subtracting(failing).map {
                        ($0, Int.random(in: 0...5, using: &generator))
                    })
                let result = try scan(
                    number, listed: listed, unlisted: Array(reached.intersection(failing)), since: snapshot)
                let expected = Self.model(&known, listed: listed, failing: failing)
                #expect(result.summary.deletedEntries == expected, "\(generator), round \(round), scan \(number)")
                #expect(result.summary.directories == known.count, "\(generator), round \(round), scan \(number)")
                for (path, size) in known { #expect(try count(path, in: result.snapshot) == size, "\(generator)") }
                snapshot = result.snapshot
            }
        }
    }

    /// Brings what is known up to date and returns the entries that are deleted.
    private static func model(_ known: inout [String: Int], listed: [String: Int], failing: Set<String>) -> UInt64 {
        var deleted: UInt64 = 0
        for (path, size) in known where listed[path] == nil {
            let isHidden = failing.contains(path) || ancestors(of: path).contains { failing.contains($0) }
            if isHidden { continue }
            known[path] = nil
            deleted += UInt64(size)
        }
        known.merge(listed) { $1 }
        return deleted
    }

    private static func ancestors(of path: String) -> [String] {
        var all: [String] = []
        var current = PathBytes(path)
        while let parent = current.parent {
            all.append(parent.description)
            current = parent
        }
        return all
    }

    /// Removes a few trees and adds a few directories.
    private static func change(_ disk: inout Set<String>, _ generator: inout SeededGenerator) {
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            guard let gone = disk.sorted().randomElement(using: &generator), gone != "" else { continue }
            disk = disk.filter { $0 != gone && !$0.hasPrefix(gone + "/") }
        }
        for _ in 0..<Int.random(in: 5...30, using: &generator) {
            let parent = disk.sorted().randomElement(using: &generator)!
            disk.insert(PathBytes(parent).appending("\(Int.random(in: 0..<5, using: &generator))").description)
        }
    }
}
