// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Stores that contradict themselves behind right checksums, through opening, reading, verification and repair. `make
/// fuzz TARGET=store` does the same with coverage to guide it.
@Suite("Forged stores (F30, F35)")
struct ForgedStoreTests {
    /// `QUERN_FORGERIES`: how many stores to forge, of each golden one. `QUERN_SEED` replays.
    static let count = number("QUERN_FORGERIES") ?? 60
    static let seed = number("QUERN_SEED")

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    static func golden(_ name: String) throws -> ForgedStore {
        let store = GoldenStores.directory.appending(path: "v1/\(name)")
        return ForgedStore(
            try FileManager.default.contentsOfDirectory(atPath: store.path).map {
                ($0, [UInt8](try Data(contentsOf: store.appending(path: $0))))
            })
    }

    @Test("A golden store that is taken apart and put together is the same", arguments: GoldenFlipTests.stores)
    func unchanged(name: String) throws {
        let store = try Self.golden(name)
        #expect(store.files.count > 2)
        let disk = try store.placed()
        for file in store.files {
            let bytes = GoldenStores.directory.appending(path: "v1/\(name)/\(file.name)")
            let isSame = [UInt8](try Data(contentsOf: bytes)) == disk.contents(Workload.directory.appending(file.name))
            #expect(isSame, "\(file.name)")
        }
        #expect(ForgedStoreCheck.complaint(disk) == nil)
    }

    @Test(
        "No change behind right checksums traps, and what repair makes of it is whole",
        arguments: GoldenFlipTests.stores)
    func forged(name: String) throws {
        let golden = try Self.golden(name)
        for round in 0..<Self.count {
            let seed = Self.seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
            var random = SeededGenerator(seed: seed)
            var store = golden
            random.bytes(Forgery.size * (1 + random.below(3))).withUnsafeBytes { Forgery.apply($0, to: &store) }
            let complaint = ForgedStoreCheck.complaint(try store.placed())
            #expect(complaint == nil, "\(name), round \(round), QUERN_SEED=\(seed): \(complaint ?? "")")
            if Self.seed != nil { break }
        }
    }
}
