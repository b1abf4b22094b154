// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

/// The lives of ``LifeCycleTests`` on a disk that fails: calls that fail once or for good, writes cut short, full
/// disks, power that goes at any call and again while the next process opens the store, bits that flip. A seed fixes
/// the steps, the faults, the clock and what handlers do; which commits share a batch is up to the threads, so that two
/// lives of one seed may differ in what a batch has. What `QUERN_SEED` replays shrinks to few steps. `make simulate
/// SEEDS=n` runs more.
@Suite("The scheduler and its store on a disk that fails (T1 to T17, S3 to S7)", .timeLimit(.minutes(600)))
struct SimulationTests {
    @Test("Whatever fails, nothing acknowledged is lost, nothing is there twice, and damage is told")
    func simulations() async throws {
        let seeds = LifeSeeds("simulate", count: "QUERN_SIMULATIONS", usual: 40)
        let tally = FaultTally()
        let failures = Atomic(0)
        await seeds.run { seed in
            guard failures.load(ordering: .relaxed) < Self.mostFailures else { return }
            if await !Self.simulate(seed, tally) { failures.add(1, ordering: .relaxed) }
        }
        // What chance spares here, the sweep of single faults does not.
        if seeds.isLong { print(tally.table) }
    }

    /// `QUERN_STEPS`: only these steps, as `3,7,40`.
    private static var steps: [Int] {
        LifeSeeds.text("QUERN_STEPS")?.split(separator: ",").compactMap { Int($0) } ?? LifeSeeds.steps
    }

    /// `QUERN_FAILURES`: how many lives may fail before no further one begins.
    private static let mostFailures = LifeSeeds.text("QUERN_FAILURES").flatMap { Int($0) } ?? 10

    /// - Returns: whether the life was as it must be.
    private static func simulate(_ seed: UInt64, _ tally: FaultTally) async -> Bool {
        let steps = steps
        guard let error = await failure(seed, steps, tally) else { return true }
        let (fewest, last) = await shrink(steps) { await failure(seed, $0, FaultTally()) }
        let list = fewest.map { "\($0)" }.joined(separator: ",")
        Issue.record("replay with QUERN_SEED=\(seed) QUERN_STEPS=\(list): \(last ?? error)")
        return false
    }

    private static func failure(_ seed: UInt64, _ steps: [Int], _ tally: FaultTally) async -> (any Error)? {
        do {
            var model = try await LifeModel(seed: seed, tally: tally)
            try await model.run(steps: steps)
            return nil
        } catch { return error }
    }

    /// Leaves out steps, in smaller and smaller portions, as long as something still fails: delta debugging.
    private static func shrink(
        _ steps: [Int], _ failure: ([Int]) async -> (any Error)?
    ) async -> (steps: [Int], error: (any Error)?) {
        var (steps, error) = (steps, nil as (any Error)?)
        var portion = max(1, steps.count / 2)
        while true {
            var start = 0
            while start < steps.count {
                let fewer = Array(steps[..<start] + steps[min(start + portion, steps.count)...])
                if let found = await failure(fewer) { (steps, error) = (fewer, found) } else { start += portion }
            }
            if portion == 1 { return (steps, error) }
            portion = max(1, portion / 2)
        }
    }
}
