// SPDX-License-Identifier: Apache-2.0
import DequeModule
import QuernStore

/// A task executor on threads of its own, for code that blocks: it may not run on the cooperative pool.
///
/// Threads are made when there is work and none is free, up to a limit, and end when they were idle for a while.
final class ThreadPool: TaskExecutor {
    private struct State: Sendable {
        var jobs: Deque<UnownedJob> = []
        var idle = 0
        var threads = 0
    }

    private enum Step {
        case run(UnownedJob)
        case end
    }

    private static let idleTime = Duration.seconds(5)

    private let limit: Int
    private let state = Monitor(State())

    /// - Parameter limit: the most threads at a time.
    init(limit: Int) { self.limit = max(1, limit) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        var needsThread = false
        state.withLock { state in
            state.jobs.append(job)
            needsThread = state.jobs.count > state.idle && state.threads < limit
            if needsThread { state.threads += 1 }
            return !needsThread
        }
        if needsThread { SystemThread.start { self.runJobs() } }
    }

    /// The life of a thread.
    private func runJobs() {
        while case .run(let job) = nextStep() { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }

    private func nextStep() -> Step {
        var isIdle = false
        let end = MonotonicTime.now().advanced(by: Self.idleTime)
        return state.wait { state, deadline in
            if let job = state.jobs.popFirst() {
                if isIdle { state.idle -= 1 }
                return .run(job)
            }
            if !isIdle {
                isIdle = true
                state.idle += 1
            }
            guard MonotonicTime.now() < end else {
                state.idle -= 1
                state.threads -= 1
                return .end
            }
            deadline = end
            return nil
        }
    }
}
