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
        /// What the task that runs now has spawned beyond the transaction.
        var staging: SpawnStaging?
        /// Whether all of that is in the log.
        var isStaged = false
        /// What the tasks of the pull said that they read and wrote, and the last of them that did.
        var io = RecordedIO()
        var ioTicket: UInt64 = 0
        /// What it keeps, once it has asked.
        var states: StateKeeper?

        func check(_ ticket: UInt64) throws(SchedulerError) {
            guard self.ticket == ticket else {
                throw SchedulerError(.contextExpired, "the handler of this context's task has returned")
            }
        }

        /// Moves what the running task spawned to its stage.
        mutating func stageSpawns(in store: MemoStore) {
            let certain = transaction.removeAll(before: mark)
            let part = transaction
            transaction = certain
            let staging = staging ?? SpawnStaging(store.makeStage())
            self.staging = staging
            staging.add(part)
        }

        /// Ends the running task's part.
        mutating func close() {
            mark = transaction.mark
            staging = nil
            isStaged = false
            states = nil
        }
    }

    /// A transaction that is larger has its spawns staged. Pulls end long before for the sake of their outcomes.
    private static let stagingBytes = 4 << 20

    private let state = Mutex(State())

    /// Starts a task.
    ///
    /// - Returns: what a context must show to spawn. No two executions get the same.
    func begin(mayRelieve: Bool) -> UInt64 {
        state.withLock { state in
            state.lastTicket += 1
            state.ticket = state.lastTicket
            state.mayRelieve = mayRelieve
            state.states = nil
            return state.lastTicket
        }
    }

    /// Adds what a running task spawned.
    func spawn(
        _ ticket: UInt64, in store: MemoStore, _ body: (inout Transaction) throws(SchedulerError) -> Void
    ) throws(SchedulerError) {
        try state.withLock { state throws(SchedulerError) in
            try state.check(ticket)
            try body(&state.transaction)
            if state.transaction.estimatedBytes >= Self.stagingBytes { state.stageSpawns(in: store) }
        }
    }

    /// What the running task keeps; made by `make` when it asks first.
    func states(_ ticket: UInt64, _ make: () -> StateKeeper) throws(SchedulerError) -> StateKeeper {
        try state.withLock { state throws(SchedulerError) in
            try state.check(ticket)
            let states = state.states ?? make()
            state.states = states
            return states
        }
    }

    /// Has `send` hand something of the running task's to the store, ahead of the pull's transaction. The lock is held
    /// meanwhile, so that the task cannot end before it.
    func sendAhead(_ ticket: UInt64, _ send: () -> Void) throws(SchedulerError) {
        try state.withLock { state throws(SchedulerError) in
            try state.check(ticket)
            send()
        }
    }

    /// Calls `body` unless the task has ended, which it cannot meanwhile.
    func whileRunning(_ ticket: UInt64, _ body: () -> Void) {
        state.withLock { state in if state.ticket == ticket { body() } }
    }

    /// Ends the running task's part with what `body` adds. When `body` throws, what the task spawned is dropped and
    /// its part is still open.
    ///
    /// - Returns: roughly how large the transaction is now. Nil when nothing was done, because spawns are still on
    ///   their way to the log: ``finishStaging()`` comes first.
    @discardableResult
    func complete(_ body: (inout Transaction) throws -> Void) throws -> Int? {
        try state.withLock { state in
            state.ticket = 0
            if state.staging != nil, !state.isStaged { return nil }
            do { try body(&state.transaction) } catch {
                state.transaction.rollback(to: state.mark)
                throw error
            }
            if let staging = state.staging { state.transaction.commit(staging.stage) }
            state.close()
            return state.transaction.estimatedBytes
        }
    }

    /// Returns when what the running task spawned may be committed. Call it once, and only when ``complete(_:)``
    /// says so.
    func finishStaging() async throws(StoreError) {
        let staging = state.withLock { $0.staging }
        try await staging?.finish()
        state.withLock { $0.isStaged = true }
    }

    /// Drops what the running task spawned, and ends its part with what `body` adds instead.
    ///
    /// - Returns: roughly how large the transaction is now.
    @discardableResult
    func abandon(_ body: (inout Transaction) -> Void = { _ in }) -> Int {
        state.withLock { state in
            state.ticket = 0
            state.transaction.rollback(to: state.mark)
            body(&state.transaction)
            state.close()
            return state.transaction.estimatedBytes
        }
    }

    /// The running task has read and written so much.
    func recordIO(_ ticket: UInt64, read: UInt64, written: UInt64) {
        state.withLock { state in
            guard state.ticket == ticket else { return }
            if state.ioTicket != ticket { state.io.tasks += 1 }
            state.ioTicket = ticket
            state.io.add(read: read, written: written)
        }
    }

    /// Takes the whole transaction at the end of a pull, and what was said of reads and writes.
    func take() -> (transaction: Transaction, io: RecordedIO) {
        state.withLock { state in
            var taken = (transaction: Transaction(), io: RecordedIO())
            swap(&taken.transaction, &state.transaction)
            swap(&taken.io, &state.io)
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
