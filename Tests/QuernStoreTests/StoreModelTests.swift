// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

/// Random operations against a dictionary that says what the store must answer.
@Suite struct StoreModelTests {
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func answersLikeADictionaryAcrossReopenings(seed: UInt64) async throws {
        var model = StoreModel(seed: seed)
        try await model.run(operations: 120)
    }
}
