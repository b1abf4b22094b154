// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Synchronization

/// Runs what blocks, which must not happen on the cooperative pool, in the order in which it came.
///
/// Threads are made when there is work and none is free, up to a limit, and end when they were idle for a while.
package final class ThreadPool: Sendable {
    package typealias Job = @Sendable () -> Void

    private struct State: Sendable {
        var jobs: Deque<Job> = []
        var idle = 0
        var threads = 0
        var limit: Int
    }

    /// For the calls of all stores of the process that read or wait for a disk: however many are under way, no more
    /// threads than this wait with them. What waits for a job of this pool must not be a job of this pool itself, and
    /// what callers hand in, which may take any time, must not either.
    package static let blocking = ThreadPool(limit: 64)

    /// For reductions, each of which has one thread of these however many others take.
    static let reductions = ThreadPool(limit: 64)

    /// For those who help reductions, none of which waits for a helper that has not begun.
    static let helpers = ThreadPool(limit: 64)

    private static let idleTime = Duration.seconds(5)

    private let start: @Sendable (@escaping Job) throws(StoreError) -> Void
    private let state: Monitor<State>

    /// - Parameters:
    ///   - limit: the most threads at a time.
    ///   - start: starts a thread.
    package init(
        limit: Int,
        start: @escaping @Sendable (@escaping Job) throws(StoreError) -> Void = { (body) throws(StoreError) in
            try SystemThread.start(body)
        }
    ) {
        state = Monitor(State(limit: max(1, limit)))
        self.start = start
    }

    /// Changes the most threads at a time. A smaller number ends none that has work.
    package func setLimit(_ limit: Int) { state.update { state, _ in state.limit = max(1, limit) } }

    /// Has a job run as soon as a thread is free.
    ///
    /// - Throws: ``StoreError/Code/noThread`` when there is none and none can be made; the job is never run then.
    package func submit(_ job: @escaping Job) throws(StoreError) {
        // Started under the lock: so that who finds no thread knows that none is about to come either.
        let failure = state.update { state, wakes -> StoreError? in
            wakes = true
            if state.jobs.count >= state.idle, state.threads < state.limit {
                do throws(StoreError) {
                    try start { self.runJobs() }
                    state.threads += 1
                    wakes = false
                } catch {
                    // The threads that there are come round to the job.
                    if state.threads == 0 { return error }
                }
            }
            state.jobs.append(job)
            return nil
        }
        if let failure { throw failure }
    }

    /// Runs `body` on a thread of the pool and awaits its result.
    ///
    /// - Throws: what `body` throws, and ``StoreError/Code/noThread``.
    package func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        typealias Outcome = Result<Value, StoreError>
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Outcome, Never>) in
            do throws(StoreError) {
                try submit { continuation.resume(returning: Outcome(catching: body)) }
            } catch { continuation.resume(returning: .failure(error)) }
        }
        return try result.get()
    }

    /// Runs `body` on a thread of the pool and awaits its end. When the caller's task is cancelled before a thread is
    /// free it returns at once, and `body` is never run.
    ///
    /// - Throws: ``StoreError/Code/noThread``.
    func runUnlessCancelled(_ body: @escaping Job) async throws(StoreError) {
        let turn = Turn()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Turn.Caller) in
                turn.give(continuation)
                do throws(StoreError) {
                    try submit {
                        guard let caller = turn.take() else { return }
                        body()
                        caller.resume(returning: .success(()))
                    }
                } catch { turn.take()?.resume(returning: .failure(error)) }
                // The handler may have run before there was anyone to wake.
                if Task.isCancelled { turn.take()?.resume(returning: .success(())) }
            }
        } onCancel: {
            turn.take()?.resume(returning: .success(()))
        }
        try result.get()
    }

    /// Who waits for a job that has not begun: the job takes it when it begins, or a cancellation before.
    private final class Turn: Sendable {
        typealias Caller = CheckedContinuation<Result<Void, StoreError>, Never>
        private let caller = Mutex<Caller?>(nil)

        func give(_ continuation: Caller) { caller.withLock { $0 = continuation } }

        func take() -> Caller? { caller.withLock { $0.take() } }
    }

    /// The life of a thread.
    private func runJobs() { while let job = nextJob() { job() } }

    private func nextJob() -> Job? {
        var isIdle = false
        let end = MonotonicTime.now().advanced(by: Self.idleTime)
        return state.wait { state, deadline -> Job?? in
            if let job = state.jobs.popFirst() {
                if isIdle { state.idle -= 1 }
                return .some(job)
            }
            if !isIdle {
                isIdle = true
                state.idle += 1
            }
            guard MonotonicTime.now() < end else {
                state.idle -= 1
                state.threads -= 1
                return .some(nil)
            }
            deadline = end
            return nil
        }
    }
}
