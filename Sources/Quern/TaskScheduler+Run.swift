// SPDX-License-Identifier: Apache-2.0
import QuernStore
import ServiceLifecycle

extension TaskScheduler {
    /// Runs tasks until the service is shut down.
    ///
    /// - Graceful shutdown: nothing new is started, the handlers that run finish, their outcomes are committed, the
    ///   store writes a checkpoint and is closed; `run()` returns.
    /// - Cancellation of the Swift task: as above, but the handlers that run are cancelled, and their tasks stay
    ///   pending unless they return in spite of it; `run()` throws `CancellationError`.
    ///
    /// Callers who wait for tasks that have not ended get ``SchedulerError`` with `stopped`, as soon as it is certain
    /// that they will not: a handler among them that lets it pass is pending again, the attempt not counted. Their
    /// tasks go on when a scheduler opens the store the next time.
    ///
    /// - Throws: ``SchedulerError`` with `alreadyRunning` or `stopped` when it was called before, and with the store's
    ///   error as its cause when the store fails. `CancellationError`.
    public func run() async throws {
        // So that nothing starts that is to be held back.
        if core.gauge.isUsed { await readPressure() }
        try core.start()
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await core.waitUntilAtRest()
            } onGracefulShutdown: { [core] in
                core.stop(immediately: false)
            }
        } onCancel: { [core] in
            core.stop(immediately: true)
        }
        try await core.finish()
        try Task.checkCancellation()
    }

    /// Asks `run()` to end in order: what a service group does on its shutdown signal. Returns at once. When
    /// `run()` was not called yet, it will return at once.
    public func triggerGracefulShutdown() { core.stop(immediately: false) }

    /// Returns when nothing is left to do before ``nextDue``, or the scheduler has stopped. The clock must not move
    /// meanwhile.
    package func waitUntilIdle() async {
        await withCheckedContinuation { continuation in
            core.perform { $0.quietWaiters.append(continuation) }
        }
    }

    /// The next time that something waits for.
    package var nextDue: Timestamp? { core.read { $0.nextDue } }

    /// Closes the store of a scheduler that does not run. Does nothing when `run()` was called: that closes it.
    public func close() async throws(SchedulerError) {
        guard core.endWithoutRunning() else { return }
        try await core.finish()
    }
}

extension SchedulerCore {
    func start() throws(SchedulerError) {
        let error: SchedulerError? = perform { state in
            switch state.phase {
            case .idle:
                // One whose store has failed already ends in order, so that whoever waits is told.
                let runs = !state.stopsAtStart && state.failure == nil
                state.phase = runs ? .running : .stopping
                state.dispatcher.isRunning = runs
                return nil
            case .running: return SchedulerError(.alreadyRunning, "run() was called before")
            case .stopping, .stopped: return SchedulerError(.stopped, "the scheduler has stopped")
            }
        }
        if let error { throw error }
    }

    func stop(immediately: Bool) {
        perform { state in
            if state.phase == .idle { state.stopsAtStart = true }
            guard state.phase == .running || state.phase == .stopping else { return }
            state.phase = .stopping
            state.dispatcher.stop(immediately: immediately)
            state.abandonStalled()
        }
        events.endInHandlers()
    }

    /// Waits until the scheduler was stopped and nothing runs any more.
    func waitUntilAtRest() async {
        await withCheckedContinuation { continuation in
            perform { $0.stopWaiter = continuation }
        }
    }

    /// - Returns: whether the scheduler was idle and is stopping now.
    func endWithoutRunning() -> Bool {
        perform { state in
            guard state.phase == .idle else { return false }
            state.phase = .stopping
            return true
        }
    }

    /// Closes the store and answers everyone who still waits.
    func finish() async throws(SchedulerError) {
        let failure = perform { state in
            state.phase = .stopped
            return state.failure
        }
        var closingError: StoreError?
        do { try await store.close() } catch { closingError = error }
        events.finish()
        answerAll(SchedulerError(.stopped, "the scheduler has stopped"))
        if let error = failure ?? closingError { throw SchedulerError(error) }
    }
}
