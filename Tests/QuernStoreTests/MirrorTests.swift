// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("A checkpoint and its mirror (S6)")
struct MirrorTests {
    /// A store with live tasks of many kinds, the names of its checkpoint and of that one's mirror, and what it holds.
    private struct Patient {
        let files: SimulatedFileSystem
        let facts: StoreFacts
        let checkpoint: FilePath
        let mirror: FilePath

        static func random(seed: UInt64, closes: Bool) async throws -> Patient {
            let fixture = try await OfflineFixture.random(seed: seed, closes: closes, steps: 40)
            let number = try #require(
                try OfflineStore.read(at: OfflineFixture.store, fileSystem: fixture.files).checkpointFile?.number)
            return Patient(
                files: fixture.files.crash(keeping: .keepAll), facts: fixture.facts,
                checkpoint: OfflineFixture.store.appending(StoreFiles.name(.checkpoint, number)),
                mirror: OfflineFixture.store.appending(StoreFiles.name(.mirror, number)))
        }

        func size(_ path: FilePath) -> Int { files.contents(path)?.count ?? 0 }

        func damaged(_ damage: (SimulatedFileSystem) throws -> Void) rethrows -> SimulatedFileSystem {
            let files = files.crash(keeping: .keepAll)
            try damage(files)
            return files
        }
    }

    private static func open(_ files: SimulatedFileSystem) async throws(StoreError) -> MemoStore {
        try await MemoStore.open(
            at: OfflineFixture.store, configuration: OfflineFixture.configuration, fileSystem: files)
    }

    @Test(
        "S6: a damaged, cut or missing checkpoint costs nothing, is told, and is made anew", arguments: [true, false])
    func checkpointIsDamaged(closes: Bool) async throws {
        let patient = try await Patient.random(seed: 71, closes: closes)
        let (path, size) = (patient.checkpoint, patient.size(patient.checkpoint))
        var random = SeededGenerator(seed: 71)
        var damages: [(String, (SimulatedFileSystem) throws -> Void)] = [
            ("missing", { try $0.remove(path) }),
            ("cut in its header", { try $0.truncate(path, to: 40) }),
            ("cut in a frame", { try $0.truncate(path, to: size - 9) }),
            ("longer", { try $0.place(($0.contents(path) ?? []) + [1, 2, 3], at: path) }),
        ]
        for _ in 0..<40 {
            let (byte, bit) = (random.below(size), random.below(8))
            // Another version is not damage.
            if byte == 9 { continue }
            damages.append(("bit \(bit) of byte \(byte)", { try $0.flipBit(in: path, atByte: byte, bit: bit) }))
        }
        var told = 0
        for (name, damage) in damages {
            let files = try patient.damaged(damage)
            let found = try StoreVerifier.verify(
                at: OfflineFixture.store, fileSystem: files, options: .init(threads: 1))
            #expect(!found.findings.contains { $0.severity == .damage }, "\(name): \(found.findings)")
            told += found.isDamaged ? 1 : 0
            let store = try await Self.open(files)
            // Bits between frames are nothing that anybody reads.
            #expect(store.recovery.checkpointDamage?.file == path || !found.isDamaged, "\(name)")
            expectSame(try StoreFacts(store), patient.facts, name)
            try await store.close()
            let after = try await Self.open(files)
            #expect(after.recovery.checkpointDamage == nil)
            try await after.close()
        }
        #expect(told > 35)
    }

    @Test("S6: with one that was damaged the next commit brings a checkpoint, without a close")
    func isMadeAnewSoon() async throws {
        let patient = try await Patient.random(seed: 72, closes: true)
        let files = try patient.damaged { try $0.flipBit(in: patient.checkpoint, atByte: 200, bit: 1) }
        let store = try await Self.open(files)
        _ = try await store.append(.spawning(1))
        await store.settle()
        let again = files.crash(keeping: .dropAll)
        try again.remove(OfflineFixture.store.appending(StoreFiles.lockName))
        let reopened = try await Self.open(again)
        #expect(reopened.recovery.checkpointDamage == nil)
        try await reopened.close()
        try await store.close()
    }

    @Test("A damaged or missing mirror hinders nobody, and verify names it", arguments: [true, false])
    func mirrorIsDamaged(isMissing: Bool) async throws {
        let patient = try await Patient.random(seed: 73, closes: true)
        let files = try patient.damaged { files in
            if isMissing {
                try files.remove(patient.mirror)
            } else {
                try files.flipBit(in: patient.mirror, atByte: 300, bit: 2)
            }
        }
        let found = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: files, options: .init(threads: 1))
        #expect(found.findings.map(\.file) == [patient.mirror.lastComponent?.string])
        #expect(found.isDamaged == !isMissing)
        let store = try await Self.open(files)
        #expect(store.recovery.checkpointDamage == nil)
        expectSame(try StoreFacts(store), patient.facts, "without a mirror")
        try await store.close()
        #expect(try files.list(OfflineFixture.store).contains { $0.hasPrefix("mirror-") })
    }

    @Test("S6: of two that are damaged at different places nothing is lost")
    func bothAreDamaged() async throws {
        let files = SimulatedFileSystem()
        try await LiveSalvageTests.makeManyTasks(on: files)
        let intact = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        let facts = try StoreFacts(intact)
        let number = try #require(intact.checkpointFile?.number)
        let twins = [FileHeader.Kind.checkpoint, .mirror].map {
            OfflineFixture.store.appending(StoreFiles.name($0, number))
        }
        let frames = try Self.frames(of: twins[0], on: files)
        #expect(frames.count >= 4)
        var random = SeededGenerator(seed: 74)
        for round in 0..<30 {
            let damaged = files.crash(keeping: .keepAll)
            // Each frame is whole in one of them. The last one may be cut off.
            for frame in frames {
                let path = twins[random.below(2)]
                let place = frame.lowerBound + random.below(frame.count)
                if frame == frames.last, random.chance(1, in: 2) {
                    try damaged.truncate(path, to: place)
                } else {
                    try damaged.flipBit(in: path, atByte: place, bit: random.below(8))
                }
            }
            let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: damaged)
            #expect(!store.findings.contains { $0.severity == .damage }, "round \(round): \(store.findings)")
            expectSame(try StoreFacts(store), facts, "round \(round)")
        }
    }

    @Test("A full disk does without the mirror, not without the checkpoint (S4)")
    func withoutSpace() async throws {
        let files = SimulatedFileSystem()
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "mirror-")
        files.faults = plan
        let store = try await MemoStore.labelled(
            at: OfflineFixture.store, configuration: OfflineFixture.configuration, fileSystem: files)
        _ = try await store.append(.spawning(3))
        try await store.close()
        #expect(try !files.list(OfflineFixture.store).contains { $0.hasPrefix("mirror-") })
        let reopened = try await Self.open(files)
        #expect(try reopened.recovery.wasClean && StoreFacts(reopened).live.count == 3)
        try await reopened.close()
    }

    private static func frames(of path: FilePath, on files: SimulatedFileSystem) throws -> [Range<Int>] {
        let raw = try RawStore(at: OfflineFixture.store, fileSystem: files)
        let file = try #require(raw.files.first { $0.name == path.lastComponent?.string })
        var walk = FrameWalk(file, segment: UInt32(truncatingIfNeeded: file.number), seed: raw.identity.seed)
        var frames: [Range<Int>] = []
        while case .frame(let frame)? = try walk.next() { frames.append(frame.offset..<(frame.offset + frame.length)) }
        return frames
    }
}
