// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

/// One small piece of work, and each thing that can go wrong in it: every call fails, the power goes at every call and
/// leaves every subset of what was not synced, and goes again at every call of the recovery. Of the places the suite
/// takes a share (see `FaultPlaces`).
@Suite("Everything that can go wrong in a small piece of work (T1 to T17, S3 to S7)", .timeLimit(.minutes(600)))
struct FaultSweepTests {
    private static let isWhole = FaultPlaces.areAllTaken
    private static let seed =
        LifeSeeds.text("QUERN_SEED").flatMap { UInt64($0) } ?? (isWhole ? 1 : .random(in: 0...UInt64(UInt32.max)))

    /// Of how many changes that were not synced each subset is left: of the first ones with the others lost, and of the
    /// last ones with those before them lost. `QUERN_UNSYNCED=16` is all there are, which takes 270,000 lives.
    private static let mostUnsynced = LifeSeeds.text("QUERN_UNSYNCED").flatMap { Int($0) } ?? (isWhole ? 8 : 3)

    private func live(
        _ sweep: FaultSweep, _ name: String, _ tally: FaultTally = FaultTally()
    ) async -> LifeModel.SweptLife? {
        do { return try await LifeModel.live(sweep, seed: Self.seed, tally) } catch {
            Issue.record("\(name), QUERN_SEED=\(Self.seed): \(error)")
            return nil
        }
    }

    @Test(
        "The nth call fails, for every n, once and from then on",
        arguments: [Errno.ioError, .noSpace, .tooManyOpenFiles], [FaultPlan.Repetition.once, .fromThenOn])
    func failingCalls(errno: Errno, repetition: FaultPlan.Repetition) async {
        let tally = FaultTally()
        var count = 0
        for ordinal in 1... {
            guard FaultPlaces.takes(ordinal, oneIn: 40) else { continue }
            let faults = FaultPlan.failing(nil, at: ordinal, with: errno, repetition)
            let sweep = FaultSweep(faults, isShortage: errno == .noSpace)
            let name = "call \(ordinal) fails with \(errno), \(repetition)"
            guard let life = await live(sweep, name, tally) else { return }
            if !life.hasFailed { break }
            count += 1
        }
        #expect(count > (Self.isWhole ? 200 : 4))
        guard Self.isWhole else { return }
        print("sweep: \(count) calls fail with \(errno), \(repetition)")
        guard repetition == .once else { return }
        print(tally.table)
        #expect(tally.unreached == [])
    }

    @Test("The power goes at the nth changing call, for every n, and leaves each subset of what was not synced")
    func everySubset() async {
        var (places, lives, largest) = (0, 0, 0)
        for ordinal in 0... {
            guard FaultPlaces.takes(ordinal, oneIn: 40) else { continue }
            var subsets: [UInt64] = [0]
            var next = 0
            while next < subsets.count {
                let bits = subsets[next]
                let sweep = FaultSweep(.crashing(afterCall: ordinal), policy: .subset(bits))
                guard let life = await live(sweep, "power lost at call \(ordinal), subset \(bits)") else { return }
                if !life.hasFailed { break }
                if next == 0 { subsets = Self.subsets(of: life.unsyncedAtCrash) }
                largest = max(largest, life.unsyncedAtCrash)
                next += 1
                lives += 1
            }
            if next == 0 { break }
            places += 1
        }
        #expect(places > (Self.isWhole ? 100 : 2))
        if Self.isWhole {
            print(
                "sweep: \(places) places of a power loss, each subset of the first and the last",
                "\(min(largest, Self.mostUnsynced)) unsynced changes of up to \(largest), \(lives) lives")
        }
    }

    private static func subsets(of changes: Int) -> [UInt64] {
        let first = 0..<(1 << UInt64(min(changes, mostUnsynced)) as UInt64)
        let skipped = UInt64(max(0, changes - mostUnsynced))
        return Array(first) + (skipped == 0 ? [] : first.dropFirst().map { $0 << skipped })
    }

    @Test(
        "The power goes at every call, and once more at every call of the recovery",
        arguments: [CrashPolicy.keepAll, .dropAll, .random(seed: seed)])
    func recovery(policy: CrashPolicy) async {
        var (places, lives) = (0, 0)
        for ordinal in 0... {
            guard FaultPlaces.takes(ordinal, oneIn: 25) else { continue }
            var life: LifeModel.SweptLife
            var again = 0
            repeat {
                let sweep = FaultSweep(
                    .crashing(afterCall: ordinal), policy: policy, reopening: .crashing(afterCall: again))
                let place = "power lost at call \(ordinal), then at call \(again), \(policy)"
                guard let lived = await live(sweep, place) else { return }
                life = lived
                again += 1
            } while life.hasFailedReopening
            if !life.hasFailed { break }
            places += 1
            lives += again
        }
        #expect(places > (Self.isWhole ? 100 : 4))
        if Self.isWhole {
            print("sweep: \(places) places, \(lives) lives that crash once more in the recovery, \(policy)")
        }
    }
}
