// SPDX-License-Identifier: Apache-2.0

/// Keeps what would run on threads of its own until the test says when: in the place of `startThread`.
final class HeldThreads: Sendable {
    private let state = MutexBox<(bodies: [@Sendable () -> Void], isOpen: Bool)>(([], false))

    var isHolding: Bool { !state.value.bodies.isEmpty }

    func start(_ body: @escaping @Sendable () -> Void) {
        var runs = false
        state.change {
            runs = $0.isOpen
            if !runs { $0.bodies.append(body) }
        }
        if runs { body() }
    }

    /// Gives what is held, to be run by the caller.
    func take() -> [@Sendable () -> Void] {
        var bodies: [@Sendable () -> Void] = []
        state.change { swap(&bodies, &$0.bodies) }
        return bodies
    }

    /// Runs what is held, on the caller's thread.
    func release() { for body in take() { body() } }

    /// Runs what is held, and from now on everything at once.
    func open() {
        state.change { $0.isOpen = true }
        release()
    }

    func hold() { state.change { $0.isOpen = false } }
}
