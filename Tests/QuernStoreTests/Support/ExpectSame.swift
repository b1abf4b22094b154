// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import QuernStore

/// Expects the same facts, and says of a difference where it is, not what the stores hold.
func expectSame(
    _ facts: StoreFacts?, _ expected: StoreFacts, _ place: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    let isSame = facts == expected
    #expect(
        isSame, "\(place): \(facts?.difference(from: expected) ?? "nothing")", sourceLocation: sourceLocation)
}
