// SPDX-License-Identifier: Apache-2.0
import Testing

/// Random operations against dictionaries that say what the store must answer. `QUERN_SEED` replays a failure.
@Suite("Store against a model (S3, S6, S8, S11)")
struct StoreModelTests {
    @Test(
        "A store answers like a dictionary across openings, crashes and losses of power",
        arguments: 1...8 as ClosedRange<UInt64>)
    func simulated(seed: UInt64) async throws {
        var model = try await StoreModel(seed: Soak.seed ?? seed)
        try await model.run(operations: 150)
    }

    @Test("It does so on the files of the operating system", arguments: [11, 12] as [UInt64])
    func real(seed: UInt64) async throws {
        var model = try await StoreModel(seed: Soak.seed ?? seed, on: .real)
        try await model.run(operations: 80)
    }
}
