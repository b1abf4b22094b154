// SPDX-License-Identifier: Apache-2.0

/// Hands values from one thread to another, in order and only a few ahead.
final class Channel<Value: Sendable>: Sendable {
    private struct State: Sendable {
        var values: [Value] = []
        var isEnded = false
    }

    private let state = Monitor(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// Blocks while the other side is behind. False when it has ended: then nobody takes the value.
    func send(_ value: Value) -> Bool {
        let isOpen = state.wait { state, _ -> Bool? in
            if state.isEnded { return false }
            guard state.values.count < self.capacity else { return nil }
            state.values.append(value)
            return true
        }
        state.withLockWakingAll { _ in }
        return isOpen
    }

    /// Blocks until there is a value; nil when all were taken and the channel has ended.
    func receive() -> Value? {
        let value = state.wait { state, _ -> Value?? in
            if state.values.isEmpty { return state.isEnded ? .some(nil) : nil }
            return state.values.removeFirst()
        }
        state.withLockWakingAll { _ in }
        return value
    }

    /// From either side. What was sent before is still received.
    func end() { state.withLockWakingAll { $0.isEnded = true } }
}
