// SPDX-License-Identifier: Apache-2.0
import Quern

/// The line on a terminal that says how far the scan is, five times a second.
struct ProgressLine: Sendable {
    let scheduler: TaskScheduler
    let scan: TaskID

    /// Until its Swift task is cancelled. Then the line is erased.
    func run() async {
        let started = ContinuousClock.now
        var first: UInt64?
        while !Task.isCancelled {
            // There is none before the scan has begun, and none when it has ended.
            if let progress = scheduler.progress(of: scan) {
                let done = progress.counts.total
                show(progress, done: done &- (first ?? done), since: started)
                first = first ?? done
            }
            // The first line comes soon, also when the scan takes a moment to begin.
            try? await Task.sleep(for: .milliseconds(first == nil ? 10 : 200))
        }
        Console.rewriteErrorLine("")
    }

    private func show(_ progress: TaskProgress, done: UInt64, since started: ContinuousClock.Instant) {
        let seconds = max((ContinuousClock.now - started) / .seconds(1), 0.001)
        let failed = progress.counts.failures
        Console.rewriteErrorLine(
            "\(progress.counts.total) directories, \(progress.liveChildren) pending, "
                + "\(UInt64(Double(done) / seconds))/s, \(Console.fixed(seconds, digits: 1)) s"
                + (failed > 0 ? ", \(failed) failed" : ""))
    }
}
