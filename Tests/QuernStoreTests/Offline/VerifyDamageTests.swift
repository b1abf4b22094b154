// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Damage that changes what a store holds is found, and the file named that has it (S6, F34, F35).
@Suite("Verification of damaged stores (S6, F34, F35)")
struct VerifyDamageTests {
    /// `QUERN_FLIPS`: how many bytes to damage, one at a time.
    static let flips = ProcessInfo.processInfo.environment["QUERN_FLIPS"].flatMap { Int($0) } ?? 2000
    static let shares = 4

    /// What is wrong with what is found in a store with damage in one file, or nil.
    static func complaint(
        _ files: SimulatedFileSystem, damaged name: String, _ facts: StoreFacts
    ) throws -> String? {
        let found = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: files, options: .init(threads: 1))
        let here = found.findings.filter { $0.file == name && $0.severity > .note }
        let others = found.findings.filter { $0.file != name && $0.severity > .note && !$0.file.isEmpty }
        if here.isEmpty, !others.isEmpty { return "only other files are named: \(others)" }
        // What follows from it may be told of other files, behind it.
        if !here.isEmpty { return others.contains { $0.severity > here[0].severity } ? "named late: \(others)" : nil }
        let offline = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        let content = Result { () throws(StoreError) in try StoreFacts(offline) }
        guard case .success(let content) = content, content == facts else { return "changed without a word" }
        return nil
    }

    private static func check(
        _ fixture: OfflineFixture, _ name: String, _ place: String,
        _ damage: (SimulatedFileSystem, FilePath) throws -> Void
    ) throws {
        let damaged = fixture.files.crash(keeping: .keepAll)
        try damage(damaged, OfflineFixture.store.appending(name))
        let complaint = try complaint(damaged, damaged: name, fixture.facts)
        #expect(complaint == nil, "\(name), \(place)")
    }

    private static func names(_ fixture: OfflineFixture) throws -> [String] {
        try fixture.files.list(OfflineFixture.store).sorted()
    }

    @Test("S6: of 2,000 flipped bytes in all files each that changes a store is found", arguments: 0..<shares)
    func flips(share: Int) async throws {
        let fixture = try await OfflineFixture.random(seed: UInt64(40 + share), closes: share % 2 == 0, steps: 18)
        let names = try Self.names(fixture)
        #expect(Set(names.map { $0.prefix(3) }).isSuperset(of: ["MAN", "che", "mir", "ind", "log"]))
        var random = SeededGenerator(seed: UInt64(share))
        for number in 0..<(Self.flips / Self.shares) {
            let name = names[number % names.count]
            let size = fixture.files.contents(OfflineFixture.store.appending(name))?.count ?? 0
            if size == 0 { continue }
            let (offset, bit) = (random.below(size), random.below(8))
            try Self.check(fixture, name, "bit \(bit) of byte \(offset), share \(share)") {
                try $0.flipBit(in: $1, atByte: offset, bit: bit)
            }
        }
    }

    @Test(
        "S6: a file of a small store that is cut at any length is found, or holds the same", arguments: [true, false])
    func everyLength(closes: Bool) async throws {
        let patient = try await DamageTests.small(closed: closes)
        try Self.truncate(OfflineFixture(files: patient.files, facts: try #require(patient.facts.last)), step: 1)
    }

    @Test("S6: so it is in a store with many files", arguments: 0..<shares)
    func lengths(share: Int) async throws {
        try Self.truncate(
            try await OfflineFixture.random(seed: 50, closes: false, steps: 12), from: share * 61, step: 499)
    }

    private static func truncate(_ fixture: OfflineFixture, from start: Int = 0, step: Int) throws {
        // Cut behind a frame for which nothing vouches, a log looks as it did before the next frame.
        let newest = try #require(try RawStore(at: OfflineFixture.store, fileSystem: fixture.files).files(.log).last)
        var ends: Set = [FileHeader.size]
        var walk = FrameWalk(newest, segment: newest.segment(nil), seed: try newest.header.get().identity.seed)
        while try walk.next() != nil { ends.insert(walk.position) }
        for name in try Self.names(fixture) {
            let size = fixture.files.contents(OfflineFixture.store.appending(name))?.count ?? 0
            for length in stride(from: start, to: size, by: step) where name != newest.name || !ends.contains(length) {
                try Self.check(fixture, name, "cut at \(length) of \(size)") { try $0.truncate($1, to: length) }
            }
        }
    }

    @Test("F13: a file that is missing is found", arguments: [true, false])
    func missing(closes: Bool) async throws {
        let fixture = try await OfflineFixture.random(seed: 51, closes: closes, steps: 30)
        for name in try Self.names(fixture) where name != StoreFiles.lockName {
            try Self.check(fixture, name, "missing") { try $0.remove($1) }
        }
    }

    @Test("F8: a file in the place of another one of the store is found", arguments: [true, false])
    func swapped(closes: Bool) async throws {
        let fixture = try await OfflineFixture.random(seed: 52, closes: closes, steps: 12)
        let names = try Self.names(fixture).filter { $0 != StoreFiles.lockName }
        for name in names {
            for other in names where other != name {
                let content = fixture.files.contents(OfflineFixture.store.appending(other)) ?? []
                try Self.check(fixture, name, "replaced by \(other)") { try $0.place(content, at: $1) }
            }
        }
    }

    @Test("F35: no bytes whatever in a file's place make it fail", arguments: 1...6 as ClosedRange<UInt64>)
    func garbage(seed: UInt64) async throws {
        let fixture = try await OfflineFixture.random(seed: 53, closes: false, steps: 12)
        var random = SeededGenerator(seed: seed)
        for name in try Self.names(fixture) where name != StoreFiles.lockName {
            let good = fixture.files.contents(OfflineFixture.store.appending(name)) ?? []
            let bytes = random.coin() ? random.bytes(random.below(5000)) : HostileBytesTests.mutated(good, &random)
            let damaged = fixture.files.crash(keeping: .keepAll)
            try damaged.place(bytes, at: OfflineFixture.store.appending(name))
            _ = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: damaged)
        }
    }
}
