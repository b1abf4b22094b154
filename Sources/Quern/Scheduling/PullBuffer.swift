// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// The transaction that a worker's pull fills: the outcomes of the tasks that are done, and behind a mark what the
/// task that runs now has spawned so far.
///
/// It has a lock of its own, since a handler may spawn from several Swift tasks at a time.
final class PullBuffer: Sendable {
    private struct State {
        var transaction = Transaction()
        /// Behind the outcomes that are certain.
        var mark = Transaction().mark
        /// The execution that may spawn; 0 between executions.
        var ticket: UInt64 = 0
        var lastTicket: UInt64 = 0
        /// Whether outcomes may be committed before the pull is over.
        var mayRelieve = false
    }

    private let state = Mutex(State())

    /// Starts a task.
    ///
    /// - Returns: what a context must show to spawn. No two executions get the same.
    func begin(mayRelieve: Bool) -> UInt64 {
        state.withLock { state in
            state.lastTicket += 1
            state.ticket = state.lastTicket
            state.mayRelieve = mayRelieve
            return state.lastTicket
        }
    }

    /// Adds what a running task spawned.
    func spawn(_ ticket: UInt64, _ body: (inout Transaction) throws(SchedulerError) -> Void) throws(SchedulerError) {
        try state.withLock { state throws(SchedulerError) in
            guard state.ticket == ticket else {
                throw SchedulerError(.contextExpired, "the handler of this context's task has returned")
            }
            try body(&state.transaction)
        }
    }

    /// Ends the running task's part with what `body` adds. When `body` throws, what the task spawned is dropped and
    /// its part is still open.
    ///
    /// - Returns: roughly how large the transaction is now.
    @discardableResult
    func complete(_ body: (inout Transaction) throws -> Void) throws -> Int {
        try state.withLock { state in
            state.ticket = 0
            do { try body(&state.transaction) } catch {
                state.transaction.rollback(to: state.mark)
                throw error
            }
            state.mark = state.transaction.mark
            return state.transaction.estimatedBytes
        }
    }

    /// Drops what the running task spawned, and ends its part with what `body` adds instead.
    func abandon(_ body: (inout Transaction) -> Void = { _ in }) {
        state.withLock { state in
            state.ticket = 0
            state.transaction.rollback(to: state.mark)
            body(&state.transaction)
            state.mark = state.transaction.mark
        }
    }

    /// Takes the whole transaction at the end of a pull.
    func take() -> Transaction {
        state.withLock { state in
            var taken = Transaction()
            swap(&taken, &state.transaction)
            state.mark = state.transaction.mark
            return taken
        }
    }

    /// Hands what is certain to `commit` while a task of the pull still runs. The lock is held meanwhile, so that
    /// the rest of the pull cannot overtake it.
    func relieve(_ commit: (Transaction) -> Void) {
        state.withLock { state in
            guard state.mayRelieve, state.ticket != 0, state.mark != Transaction().mark else { return }
            let finished = state.transaction.removeAll(before: state.mark)
            state.mark = Transaction().mark
            commit(finished)
        }
    }
}
