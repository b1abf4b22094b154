// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Jobs that block, done by a few threads of their own while the caller waits.
final class ParallelJobs: Sendable {
    typealias Job = @Sendable () -> Void

    private static let reportInterval = Duration.milliseconds(100)

    private let jobs: [Job]
    private let next = Atomic<Int>(0)
    private let running = Monitor(0)

    init(_ jobs: [Job]) { self.jobs = jobs }

    /// Returns when all jobs are done; `whileWaiting` is called on this thread now and then, and at the end.
    func run(threads: Int, whileWaiting: () -> Void) {
        for _ in 0..<min(max(threads, 1), jobs.count) {
            running.withLock {
                $0 += 1
                return false
            }
            do throws(StoreError) {
                try SystemThread.start {
                    self.work()
                    self.end()
                }
            } catch {
                end()
                break
            }
        }
        // With no thread to be had it does them itself.
        if running.update({ count, _ in count }) == 0 { work() }
        while !waitForEnd() { whileWaiting() }
        whileWaiting()
    }

    private func work() {
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            guard index < jobs.count else { return }
            jobs[index]()
        }
    }

    private func end() { running.withLockWakingAll { $0 -= 1 } }

    /// Waits for a while. Returns whether no thread is at work any more.
    private func waitForEnd() -> Bool {
        let end = MonotonicTime.now().advanced(by: Self.reportInterval)
        return running.wait { count, deadline -> Bool? in
            if count == 0 { return true }
            if MonotonicTime.now() >= end { return false }
            deadline = end
            return nil
        }
    }
}
