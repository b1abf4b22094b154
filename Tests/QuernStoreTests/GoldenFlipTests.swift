// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Each byte of a store that an earlier version wrote, damaged: an error that names the file, or the right data.
@Suite("Each byte of the golden stores, flipped one at a time (S6, F34, F35)")
struct GoldenFlipTests {
    /// `make flips`: all bytes of all these stores, and of `small` each of their bits.
    static let isThorough = ProcessInfo.processInfo.environment["QUERN_EVERY_BYTE"] != nil
    /// Else each byte of `small`, and of the others one in so many.
    static let stride = isThorough ? 1 : 397
    static let stores = ["small", "closed", "killed"]

    /// A golden store, and what it holds: as it is, and cut behind each frame of the newest log, as a torn end may
    /// leave it.
    static func patient(_ name: String) throws -> DamageTests.Patient {
        let files = SimulatedFileSystem()
        let store = GoldenStores.directory.appending(path: "v1/\(name)")
        for file in try FileManager.default.contentsOfDirectory(atPath: store.path) {
            let bytes = [UInt8](try Data(contentsOf: store.appending(path: file)))
            try files.place(bytes, at: Workload.directory.appending(file))
        }
        let newest = try #require(try RawStore(at: Workload.directory, fileSystem: files).files(.log).last)
        var facts: [StoreFacts] = []
        var walk = FrameWalk(newest, segment: newest.segment(nil), seed: try newest.header.get().identity.seed)
        while case .frame(let frame)? = try walk.next() {
            let cut = files.crash(keeping: .keepAll)
            try cut.truncate(Workload.directory.appending(newest.name), to: frame.offset)
            let before = try? StoreFacts(try MemoReader.openBlocking(at: Workload.directory, fileSystem: cut))
            if let before { facts.append(before) }
        }
        facts.append(try StoreFacts(try MemoReader.openBlocking(at: Workload.directory, fileSystem: files)))
        return try DamageTests.patient(files, facts, oldest: 0, .exactLog)
    }

    @Test("An error of that file, or the right data: to a writer, to a reader and to verify", arguments: stores)
    func flips(name: String) async throws {
        let patient = try Self.patient(name)
        let facts = try #require(patient.facts.last)
        #expect(!facts.children.isEmpty)
        let seed =
            ProcessInfo.processInfo.environment["QUERN_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 0...UInt64(UInt32.max))
        var random = SeededGenerator(seed: seed)
        var flips = 0
        for file in patient.names {
            let size = patient.files.contents(Workload.directory.appending(file))?.count ?? 0
            let stride = name == "small" ? 1 : Self.stride
            for place in Swift.stride(from: random.below(stride), to: size, by: stride) {
                for bit in Self.isThorough && name == "small" ? Array(0..<8) : [random.below(8)] {
                    let complaint = try await Self.complaint(patient, file, place, bit, facts)
                    #expect(complaint == nil, "QUERN_SEED=\(seed): bit \(bit) of byte \(place) of \(name)/\(file)")
                    flips += 1
                }
            }
        }
        #expect(flips > 90)
    }

    private static func complaint(
        _ patient: DamageTests.Patient, _ name: String, _ place: Int, _ bit: Int, _ facts: StoreFacts
    ) async throws -> String? {
        func flip(_ files: SimulatedFileSystem, _ path: FilePath) throws {
            try files.flipBit(in: path, atByte: place, bit: bit)
        }
        if let complaint = try await patient.complaint(name, flip) { return "a writer: \(complaint)" }
        if let complaint = try patient.readerComplaint(name, flip) { return "a reader: \(complaint)" }
        let damaged = patient.files.crash(keeping: .keepAll)
        try flip(damaged, Workload.directory.appending(name))
        return try VerifyDamageTests.complaint(damaged, damaged: name, facts).map { "verify: \($0)" }
    }
}
