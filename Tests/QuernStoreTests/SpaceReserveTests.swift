// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Space that is held back (S4, F24)")
struct SpaceReserveTests {
    private static let path: FilePath = "/store/RESERVE"

    private static func reserve(
        _ files: SimulatedFileSystem, bytes: Int, found: Int? = nil
    ) throws -> SpaceReserve {
        try files.createDirectory("/store")
        let store = StoreFiles(directory: "/store", fileSystem: files, identity: .random(), epoch: 1, lock: nil)
        return SpaceReserve(files: store, bytes: bytes, foundBytes: found)
    }

    private static func length(_ files: SimulatedFileSystem) -> Int? { files.contents(path)?.count }

    @Test(
        "Any size that is configured is clamped to what makes sense", arguments: [-1, .min, 0, 100_001, 64 << 20, .max])
    func sizes(bytes: Int) throws {
        let files = SimulatedFileSystem()
        var reserve = try Self.reserve(files, bytes: bytes)
        let isHeld = reserve.hold()
        #expect(isHeld)
        let expected = min(max(bytes, 0), 64 << 20)
        #expect(Self.length(files) == (expected == 0 ? nil : expected))
        let isReleased = reserve.release()
        #expect(isReleased == (expected > 0))
        #expect(Self.length(files) == nil)
    }

    @Test("A store opens and works with a reserve below nothing")
    func negative() async throws {
        var configuration = MemoStore.Configuration()
        configuration.reserveBytes = -1
        configuration.checkpointBytes = 1
        configuration.startThread = { $0() }
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<3 { try await store.append(.spawning(1)) }
        try await store.close()
        #expect(Self.length(files) == nil)
    }

    @Test("On a full disk it takes what there is, tries for more with one small write, and gives all of it back")
    func grows() throws {
        let files = SimulatedFileSystem()
        var plan = FaultPlan()
        plan.capacity = 300 << 10
        files.faults = plan
        var reserve = try Self.reserve(files, bytes: 1 << 20)
        var isHeld = reserve.hold()
        #expect(!isHeld && !reserve.isSpent)
        #expect(Self.length(files) == 300 << 10)
        let calls = (files.calls(of: .write), files.calls(of: .remove))
        for _ in 0..<5 {
            isHeld = reserve.hold()
            #expect(!isHeld)
        }
        #expect(files.calls(of: .write) == calls.0 + 5 && files.calls(of: .remove) == calls.1)
        var isReleased = reserve.release()
        #expect(isReleased && reserve.isSpent && files.usedBytes == 0)
        isReleased = reserve.release()
        #expect(!isReleased)
        plan.capacity = nil
        files.faults = plan
        isHeld = reserve.hold()
        #expect(isHeld && !reserve.isSpent)
        #expect(Self.length(files) == 1 << 20)
    }

    @Test("What is found at opening counts by its length: less is made up for, more is given back")
    func found() throws {
        for found in [0, 1, 9 << 10, 10 << 10, 11 << 10] {
            for wanted in [0, 10 << 10] {
                let files = SimulatedFileSystem()
                try files.createDirectory("/store")
                try files.open(Self.path, .createNew).write([UInt8](repeating: 0, count: found), at: 0)
                var reserve = try Self.reserve(files, bytes: wanted, found: found)
                #expect(reserve.isSpent == (found < wanted))
                let isHeld = reserve.hold()
                #expect(isHeld && !reserve.isSpent)
                #expect(Self.length(files) ?? 0 == wanted, "found \(found), wanted \(wanted)")
            }
        }
    }

    @Test("It is made as large as each opening wants it, and the sizes tell it")
    func changedSize() async throws {
        var forest = try await Forest(seed: 3)
        for bytes in [20 << 10, 100 << 10, 10 << 10, 0] {
            forest.configuration.reserveBytes = bytes
            try await forest.reopen()
            for _ in 0..<4 { try await forest.grow(children: 40) }
            #expect(Self.length(forest.fileSystem) ?? 0 == bytes)
            #expect(try forest.store.sizes().reserveBytes == bytes)
        }
    }

    @Test("After a power loss it is there, or taken anew", arguments: [CrashPolicy.dropAll, .keepAll])
    func powerLoss(policy: CrashPolicy) async throws {
        var forest = try await Forest(seed: 3)
        forest.configuration.reserveBytes = 20 << 10
        try await forest.reopen()
        for _ in 0..<10 { try await forest.grow(children: 40) }
        #expect(Self.length(forest.fileSystem.crash(keeping: policy)) == 20 << 10, "synced by a checkpoint")
        try await forest.crash(policy)
        // As one that was never synced.
        try forest.fileSystem.remove(Self.path)
        try await forest.store.close()
        try forest.fileSystem.open(Self.path, .createNew).write([], at: 0)
        try await forest.open()
        for _ in 0..<4 { try await forest.grow(children: 40) }
        #expect(Self.length(forest.fileSystem) == 20 << 10)
        try forest.check("with the reserve again")
    }
}
