// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("What is salvaged of a damaged store (S6)")
struct SalvageTests {
    /// `QUERN_FLIPS`: how many bytes to damage, one at a time.
    static let flips = ProcessInfo.processInfo.environment["QUERN_FLIPS"].flatMap { Int($0) } ?? 120
    static let shares = 4

    @Test("S6: a byte that flips takes no child but those in its frame", arguments: 0..<shares)
    func flips(share: Int) async throws {
        let closes = share % 2 == 0
        let fixture = try await OfflineFixture.random(seed: UInt64(20 + share), closes: closes, steps: 45)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files)
        let touched = try TouchedRows(of: intact)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        var random = SeededGenerator(seed: UInt64(share))
        let files = intact.raw.files
        for number in 0..<(Self.flips / Self.shares) {
            let file = files[number % files.count]
            let (offset, bit) = (random.below(file.size), random.below(8))
            let damaged = fixture.files.crash(keeping: .keepAll)
            try damaged.flipBit(in: OfflineFixture.store.appending(file.name), atByte: offset, bit: bit)
            let place = "bit \(bit) of byte \(offset) of \(file.name), share \(share)"
            try Self.check(
                damaged, expected, mayMiss: touched.touched(in: file.name, at: offset), place,
                builds: number % 8 == 0)
        }
    }

    @Test("S6: a file that is cut short takes no child but those behind the cut", arguments: 0..<shares)
    func truncations(share: Int) async throws {
        let fixture = try await OfflineFixture.random(seed: 30, closes: false, steps: 12)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files)
        let touched = try TouchedRows(of: intact)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        let lengths = intact.raw.files.flatMap { file in (0..<file.size).map { (file, $0) } }
        // All of them when many flips are asked for, too.
        let step = max(1, lengths.count / Self.flips) | 1
        for number in stride(from: share, to: lengths.count, by: Self.shares * step) {
            let (file, length) = lengths[number]
            let damaged = fixture.files.crash(keeping: .keepAll)
            try damaged.truncate(OfflineFixture.store.appending(file.name), to: length)
            try Self.check(
                damaged, expected, mayMiss: touched.touched(in: file.name, from: length),
                "\(file.name) cut at \(length)", builds: number % 32 == 0)
        }
    }

    @Test("S6: a log that is cut between two frames takes no more, and gives no id out again")
    func cutsBetweenFrames() async throws {
        let fixture = try await OfflineFixture.random(seed: 30, closes: false, steps: 12)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files)
        let touched = try TouchedRows(of: intact)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        for file in intact.raw.files(.log) {
            var walk = FrameWalk(
                file, from: FileHeader.size, segment: UInt32(truncatingIfNeeded: file.number),
                seed: intact.identity.seed)
            while case .frame(let frame)? = try walk.next() {
                let damaged = fixture.files.crash(keeping: .keepAll)
                try damaged.truncate(OfflineFixture.store.appending(file.name), to: frame.offset)
                try Self.check(
                    damaged, expected, mayMiss: touched.touched(in: file.name, from: frame.offset),
                    "\(file.name) cut at \(frame.offset)", builds: false)
            }
        }
    }

    @Test("S6: a file that is missing takes no child but those in it", arguments: [true, false])
    func missingFiles(closes: Bool) async throws {
        let fixture = try await OfflineFixture.random(seed: 31, closes: closes, steps: 25)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files)
        let touched = try TouchedRows(of: intact)
        var contents = try OfflineContents(of: intact, for: .whole)
        let expected = try CollectedContents(of: &contents)
        for file in intact.raw.files {
            let damaged = fixture.files.crash(keeping: .keepAll)
            try damaged.remove(OfflineFixture.store.appending(file.name))
            try Self.check(
                damaged, expected, mayMiss: touched.touched(in: file.name, from: 0), "\(file.name) is missing",
                builds: true)
        }
    }

    private static func check(
        _ files: SimulatedFileSystem, _ expected: CollectedContents, mayMiss: Set<UInt64>, _ place: String, builds: Bool
    ) throws {
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: OfflineFixture.store, fileSystem: files), for: .salvage)
        let found = try CollectedContents(of: &contents)
        var missing = 0
        for (parent, children) in expected.children {
            for (sequence, child) in children {
                guard let other = found.children[parent]?[sequence] else {
                    missing += 1
                    if !mayMiss.contains(sequence) {
                        Issue.record("\(place): the child \(child.id) of \(parent) is lost; \(contents.losses)")
                        return
                    }
                    continue
                }
                #expect(child == other, "\(place): the child \(child.id) of \(parent) is another")
            }
        }
        #expect(missing == 0 || !contents.losses.isEmpty || mayMiss.count == missing, "\(place): lost without a word")
        // A log that ends with a batch tells of nothing behind it: that is a crash before the next commit.
        let endsWhole = contents.losses.isEmpty && missing == mayMiss.count
        #expect(found.nextID >= expected.nextID || endsWhole, "\(place): ids are given out again")
        guard builds else { return }
        try StoreBuilder.build(at: "/new", fileSystem: files, configuration: OfflineFixture.configuration) {
            try contents.tell(&$0)
        }
        let verified = try StoreVerifier.verify(at: "/new", fileSystem: files, options: .init(threads: 1))
        #expect(verified.findings.isEmpty, "\(place): \(verified.findings)")
        let built = try OfflineStore.read(at: "/new", fileSystem: files)
        var again = try OfflineContents(of: built, for: .whole)
        let rebuilt = try CollectedContents(of: &again)
        #expect(rebuilt.children == found.children && rebuilt.live == found.live, "\(place)")
        let open = try MemoStore.openBlocking(
            at: "/new", configuration: OfflineFixture.configuration, fileSystem: files)
        try open.closeBlocking()
    }
}
