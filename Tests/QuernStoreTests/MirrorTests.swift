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
            ("empty", { try $0.truncate(path, to: 0) }),
            ("cut in its header", { try $0.truncate(path, to: 40) }),
            ("the mirror under its name", { try $0.place($0.contents(patient.mirror) ?? [], at: path) }),
            ("cut in a frame", { try $0.truncate(path, to: size - 9) }),
            ("longer", { try $0.place(($0.contents(path) ?? []) + [1, 2, 3], at: path) }),
        ]
        for _ in 0..<40 {
            let (byte, bit) = (random.below(size), random.below(8))
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

    @Test("S6: of two that are damaged at different places nothing is lost, and a writer refuses them")
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
        for round in 0..<40 {
            let damaged = files.crash(keeping: .keepAll)
            // Each frame is whole in one of them; each of them is damaged. What is behind a cut is whole in the other.
            let cut = random.below(2)
            let cutFrom = random.chance(1, in: 2) ? frames.count : 1 + random.below(frames.count - 1)
            for (index, frame) in frames.enumerated() {
                let side = index >= cutFrom ? cut : index == 0 ? 1 - cut : random.below(2)
                let place = frame.lowerBound + random.below(frame.count - 8)
                if index > cutFrom { continue }
                if index == cutFrom {
                    try damaged.truncate(twins[side], to: random.chance(1, in: 3) ? frame.lowerBound : place)
                } else {
                    try damaged.flipBit(in: twins[side], atByte: place, bit: random.below(8))
                }
            }
            if random.chance(1, in: 4) { try damaged.flipBit(in: twins[cut], atByte: random.below(100), bit: 1) }
            let store = try OfflineStore.read(at: OfflineFixture.store, fileSystem: damaged)
            #expect(!store.findings.contains { $0.severity == .damage }, "round \(round): \(store.findings)")
            #expect(Set(store.findings.map(\.file)).count == (try Self.damagedCount(twins, files, damaged)))
            expectSame(try StoreFacts(store), facts, "round \(round)")
        }
    }

    private static func damagedCount(
        _ twins: [FilePath], _ files: SimulatedFileSystem, _ damaged: SimulatedFileSystem
    ) throws -> Int {
        // One that is whole is taken, and the other is told of.
        let broken = twins.filter { files.contents($0) != damaged.contents($0) }
        return broken.count == 2 ? 2 : broken.contains(twins[0]) ? 1 : 0
    }

    @Test("S4: whatever fails of the mirror's own, the checkpoint counts and the writer goes on", arguments: 0..<4)
    func mirrorFails(way: Int) async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(
            at: OfflineFixture.store, configuration: OfflineFixture.configuration, fileSystem: files)
        var plan = FaultPlan()
        switch way {
        case 0: plan.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "mirror-")
        case 1: plan.fail(.synchronize, at: 1, with: .noSpace, .fromThenOn, in: "mirror-")
        case 2: plan.fail(.write, at: 1, with: .ioError, .fromThenOn, in: "mirror-")
        default: plan.fail(.rename, at: 1, with: .ioError, .fromThenOn, in: "mirror-")
        }
        files.faults = plan
        _ = try await store.append(.spawning(3))
        try await store.compact()
        _ = try await store.append(.spawning(2))
        try await store.close()
        #expect(files.faultsFired > 0)
        #expect(try !files.list(OfflineFixture.store).contains { $0.hasPrefix("mirror-") })
        let found = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: files, options: .init(threads: 1))
        #expect(!found.isDamaged, "\(found.findings)")
        let reopened = try await Self.open(files)
        #expect(try reopened.recovery.wasClean && StoreFacts(reopened).live.count == 5)
        try await reopened.close()
    }

    @Test("S4: a manifest that found no space leaves no mirror that is not its checkpoint's")
    func manifestFails() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(
            at: OfflineFixture.store, configuration: OfflineFixture.configuration, fileSystem: files)
        _ = try await store.append(.spawning(3))
        try await store.compact()
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, in: "MANIFEST")
        files.faults = plan
        await #expect(throws: StoreError.self) { try await store.compact() }
        plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "mirror-")
        files.faults = plan
        _ = try await store.append(.spawning(2))
        try await store.close()
        files.faults = FaultPlan()
        let found = try StoreVerifier.verify(at: OfflineFixture.store, fileSystem: files, options: .init(threads: 1))
        #expect(!found.isDamaged, "\(found.findings)")
    }

    @Test("A checkpoint that cannot be read is one that is damaged", arguments: [true, false])
    func unreadable(closes: Bool) async throws {
        let patient = try await Patient.random(seed: 75, closes: closes)
        let files = patient.files.crash(keeping: .keepAll)
        var plan = FaultPlan()
        plan.fail(.read, at: 2, with: .ioError, .fromThenOn, in: "checkpoint-")
        files.faults = plan
        let offline = try OfflineStore.read(at: OfflineFixture.store, fileSystem: files)
        #expect(offline.findings.map(\.severity) == [.spared], "\(offline.findings)")
        expectSame(try StoreFacts(offline), patient.facts, "offline")
        let reader = try MemoReader.openBlocking(at: OfflineFixture.store, fileSystem: files)
        #expect(reader.checkpointDamage != nil)
        files.faults = FaultPlan()
        plan = FaultPlan()
        plan.fail(.read, at: 2, with: .ioError, in: "checkpoint-")
        files.faults = plan
        let store = try await Self.open(files)
        #expect(store.recovery.checkpointDamage != nil)
        expectSame(try StoreFacts(store), patient.facts, "open")
        try await store.close()
    }

    @Test("A copy of a store whose mirror is damaged is whole")
    func copies() async throws {
        let patient = try await Patient.random(seed: 76, closes: true)
        let files = patient.files.crash(keeping: .keepAll)
        try files.flipBit(in: patient.mirror, atByte: 300, bit: 2)
        _ = try StoreCopy.run(of: OfflineFixture.store, into: "/copy", isLive: true, fileSystem: files)
        let found = try StoreVerifier.verify(at: "/copy", fileSystem: files, options: .init(threads: 1))
        #expect(found.findings.isEmpty, "\(found.findings)")
        #expect(try files.list("/copy").contains { $0.hasPrefix("mirror-") })
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
