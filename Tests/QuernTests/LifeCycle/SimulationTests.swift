// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the environment asks of the simulations.
private enum Simulations {
    /// `QUERN_SEED`: which one to replay.
    static let seed = text("QUERN_SEED").flatMap { UInt64($0) }
    /// `QUERN_STEPS`: of it only these steps, as `3,7,40`.
    static let steps = text("QUERN_STEPS")?.split(separator: ",").compactMap { Int($0) }
    /// `QUERN_SIMULATIONS`: how many to run.
    static let count = text("QUERN_SIMULATIONS").flatMap { Int($0) }
    static let allSteps = Array(0..<60)

    private static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// The lives of ``LifeCycleTests`` on a disk that fails: calls that fail once or for good, writes cut short, full
/// disks, power that goes at any call and again while the next process opens the store, bits that flip. Deterministic;
/// what `QUERN_SEED` replays shrinks to few steps. `make simulate SEEDS=n` runs more.
@Suite("The scheduler and its store on a disk that fails (T1 to T17, S3 to S7)", .timeLimit(.minutes(600)))
struct SimulationTests {
    @Test("Whatever fails, nothing acknowledged is lost, nothing is there twice, and damage is told")
    func simulations() async throws {
        let count = Simulations.count ?? (Simulations.seed == nil ? 40 : 1)
        let first = Simulations.seed ?? (Simulations.count == nil ? 1 : .random(in: 0...UInt64(UInt32.max)))
        let isLong = Simulations.count != nil
        if isLong { print("simulate: \(count) seeds from QUERN_SEED=\(first)") }
        let tally = FaultTally()
        await withTaskGroup(of: Void.self) { group in
            var started = 0
            func startNext() {
                guard started < count else { return }
                let seed = first &+ UInt64(started)
                started += 1
                group.addTask { await Self.simulate(seed, tally) }
            }
            for _ in 0..<SystemThread.processorCount { startNext() }
            while await group.next() != nil {
                startNext()
                if isLong, started.isMultiple(of: 1000) { print("simulate: \(started) seeds") }
            }
        }
        if isLong { print(tally.table) }
    }

    private static func simulate(_ seed: UInt64, _ tally: FaultTally) async {
        let steps = Simulations.steps ?? Simulations.allSteps
        guard let error = await failure(seed, steps, tally) else { return }
        let (fewest, last) = await shrink(steps) { await failure(seed, $0, FaultTally()) }
        let list = fewest.map { "\($0)" }.joined(separator: ",")
        Issue.record("replay with QUERN_SEED=\(seed) QUERN_STEPS=\(list): \(last ?? error)")
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
