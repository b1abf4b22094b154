// SPDX-License-Identifier: Apache-2.0

/// A value that one thread gives once and another blocks for.
final class Handoff<Value: Sendable>: Sendable {
    private let value = Monitor<Value?>(nil)

    /// Gives the value. Call it once.
    func give(_ given: Value) {
        value.withLock {
            assert($0 == nil, "a value was given twice")
            $0 = given
            return true
        }
    }

    /// Blocks until the value was given.
    func take() -> Value { value.wait { value, _ in value } }
}
