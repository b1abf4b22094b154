// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// A task executor on threads of its own, for code that blocks: it may not run on the cooperative pool.
final class ThreadPoolExecutor: TaskExecutor {
    private let threads: ThreadPool

    init(_ threads: ThreadPool) { self.threads = threads }

    func setLimit(_ limit: Int) { threads.setLimit(limit) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        do throws(StoreError) { try threads.submit { self.run(job) } } catch {
            // The system has no thread at all: better on the cooperative pool than never.
            Task.detached { self.run(job) }
        }
    }

    private func run(_ job: UnownedJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}
