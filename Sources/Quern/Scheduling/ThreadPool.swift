// SPDX-License-Identifier: Apache-2.0
import DequeModule

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A task executor on threads of its own, for code that blocks: it may not run on the cooperative pool.
///
/// Threads are made when there is work and none is free, up to a limit, and end when they were idle for a while.
///
/// `@unchecked Sendable`: `jobs`, `idle` and `threads` are only touched while `mutex` is held; `mutex` and `condition`
/// are allocated before the pool is shared and freed when the last reference, which every thread has, is gone.
final class ThreadPool: TaskExecutor, @unchecked Sendable {
    private static let idleSeconds = 5

    private let limit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: Deque<UnownedJob> = []
    private var idle = 0
    private var threads = 0

    /// - Parameter limit: the most threads at a time.
    init(limit: Int) {
        self.limit = max(1, limit)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        jobs.append(job)
        let needsThread = jobs.count > idle && threads < limit
        if needsThread { threads += 1 }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        if needsThread { startThread() }
    }

    private func startThread() {
        let reference = Unmanaged.passRetained(self)
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let result = pthread_create(&thread, nil, threadPoolMain, reference.toOpaque())
        if result == 0 {
            #if canImport(Darwin)
                if let thread { pthread_detach(thread) }
            #else
                pthread_detach(thread)
            #endif
            return
        }
        reference.release()
        pthread_mutex_lock(mutex)
        threads -= 1
        let isStuck = threads == 0
        pthread_mutex_unlock(mutex)
        // With other threads the job waits for those. Without, no job would ever run again.
        precondition(!isStuck, "the system gives out no threads (pthread_create: \(result))")
    }

    fileprivate func runJobs() {
        pthread_mutex_lock(mutex)
        while true {
            if let job = jobs.popFirst() {
                pthread_mutex_unlock(mutex)
                job.runSynchronously(on: asUnownedTaskExecutor())
                pthread_mutex_lock(mutex)
                continue
            }
            idle += 1
            let timedOut = waitForJob()
            idle -= 1
            if timedOut, jobs.isEmpty { break }
        }
        threads -= 1
        pthread_mutex_unlock(mutex)
    }

    /// - Returns: whether the time to be idle is over.
    private func waitForJob() -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += Self.idleSeconds
        return pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT
    }
}

#if canImport(Darwin)
    private func threadPoolMain(_ reference: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        Unmanaged<ThreadPool>.fromOpaque(reference).takeRetainedValue().runJobs()
        return nil
    }
#else
    private func threadPoolMain(_ reference: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let reference else { return nil }
        Unmanaged<ThreadPool>.fromOpaque(reference).takeRetainedValue().runJobs()
        return nil
    }
#endif
