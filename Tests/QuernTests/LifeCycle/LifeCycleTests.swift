// SPDX-License-Identifier: Apache-2.0
import Testing

/// The whole life cycle of tasks against a reference: the real scheduler on the real store in simulated files, moved by
/// random operations, steps of the clock and crashes. `QUERN_SEED` replays a failure, and `make life` lives thousands.
@Suite("The life cycle of tasks against a model (T1 to T17, S3, S11)", .timeLimit(.minutes(60)))
struct LifeCycleTests {
    @Test("Whatever is asked and whenever the process dies, each task ends once, for a reason, with all below it")
    func lives() async throws {
        await LifeSeeds("life", count: "QUERN_LIFE_SEEDS", usual: 60).run { seed in await Self.live(seed) }
    }

    private static func live(_ seed: UInt64) async {
        do {
            var model = try await LifeModel(seed: seed)
            try await model.run(steps: LifeSeeds.steps)
        } catch { Issue.record("replay with QUERN_SEED=\(seed): \(error)") }
    }
}
