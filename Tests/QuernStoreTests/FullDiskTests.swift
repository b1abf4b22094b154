// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("A store that has filled its disk (S4, S15, F24)")
struct FullDiskTests {
    /// A store with dropped and live trees on a disk that it has filled by itself.
    private static func filled(seed: UInt64, reserve: Int, takesWhatFits: Bool) async throws -> (Forest, FaultPlan) {
        var forest = try await Forest(seed: seed)
        forest.configuration.reserveBytes = reserve
        forest.configuration.relocates = false
        try await forest.reopen()
        for _ in 0..<12 { try await forest.grow(children: 40) }
        var plan = FaultPlan()
        var held = 0
        for name in try forest.fileSystem.list(forest.directory) {
            held += forest.fileSystem.contents(forest.directory.appending(name))?.count ?? 0
        }
        plan.capacity = held + 500 + Int(seed) * 400
        plan.fullDiskTakesWhatFits = takesWhatFits
        forest.fileSystem.faults = plan
        var failure: StoreError?
        while failure == nil { failure = await forest.store.failure(of: .spawning(9)) }
        #expect(failure?.code == .noSpace)
        return (forest, plan)
    }

    @Test("S4: it opens, shows everything, and writes nothing until something is committed", arguments: 0...7)
    func opens(seed: Int) async throws {
        var (forest, plan) = try await Self.filled(
            seed: UInt64(seed), reserve: seed % 3 == 0 ? 0 : 20 << 10, takesWhatFits: seed % 2 == 0)
        if seed % 4 < 2 {
            try? await forest.store.close()
        } else {
            await Workload.abandon(forest.store, on: forest.fileSystem)
            forest.fileSystem = forest.fileSystem.crash(keeping: .keepAll)
        }
        plan.capacity = 0
        forest.fileSystem.faults = plan
        try await forest.open()
        try forest.check("seed \(seed), opened on a full disk")
        #expect(await forest.store.failure(of: .spawning(1))?.code == .noSpace)
        forest.fileSystem.faults = FaultPlan()
        try await forest.grow(children: 20)
        try forest.check("seed \(seed), with space again")
        try await forest.reopen()
        try forest.check("seed \(seed), reopened")
    }

    @Test("S4, S15: trees can be dropped and reclaimed, and then there is room for more")
    func makesRoom() async throws {
        var drained = 0
        for seed in 0..<12 { try await makeRoom(seed: seed, &drained) }
        #expect(drained > 2, "the reserve was needed")
    }

    private func makeRoom(seed: Int, _ drained: inout Int) async throws {
        var (forest, plan) = try await Self.filled(
            seed: UInt64(seed), reserve: 20 << 10, takesWhatFits: seed % 2 == 0)
        switch seed % 3 {
        case 0: break
        case 1:
            try? await forest.store.close()
            try await forest.open()
        default:
            await Workload.abandon(forest.store, on: forest.fileSystem)
            forest.fileSystem = forest.fileSystem.crash(keeping: .keepAll)
            forest.fileSystem.faults = plan
            try await forest.open()
        }
        var live = forest.store.totals.live
        for root in forest.ended.prefix(10) { try await forest.drop(root) }
        // What others want is refused, unless the reserve is held again before it.
        if let failure = await forest.store.failure(of: .spawning(1)) {
            #expect(failure.code == .noSpace, "seed \(seed)")
            drained += 1
        } else {
            #expect(
                forest.fileSystem.contents(forest.directory.appending(StoreFiles.reserveName)) != nil, "seed \(seed)")
            live += 1
        }
        try await forest.store.compact()
        try forest.check("seed \(seed), compacted")
        #expect(forest.store.totals.live == live, "seed \(seed)")
        try await forest.grow(children: 5)
        try forest.check("seed \(seed), grown")
        try await forest.reopen()
        try forest.check("seed \(seed), reopened")
        #expect(forest.store.totals.live == live, "seed \(seed)")
    }
}
