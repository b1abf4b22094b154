// SPDX-License-Identifier: Apache-2.0
import Quern

/// The line on a terminal that says how far the scan is, five times a second.
struct ProgressLine: Sendable {
    let scheduler: TaskScheduler
    let scan: TaskID

    func run() async {
        let started = ContinuousClock.now
        let first = scheduler.progress(of: scan)?.counts.total ?? 0
        while !Task.isCancelled, let progress = scheduler.progress(of: scan) {
            let elapsed = ContinuousClock.now - started
            let seconds = max(elapsed / .seconds(1), 0.001)
            let done = progress.counts.total
            let rate = UInt64(Double(done &- first) / seconds)
            let failed = progress.counts.failures
            var line = "\(done) directories, \(progress.liveChildren) pending, \(rate)/s"
            line += ", \(Console.fixed(seconds, digits: 1)) s" + (failed > 0 ? ", \(failed) failed" : "")
            Console.rewriteErrorLine(line)
            try? await Task.sleep(for: .milliseconds(200))
        }
        Console.rewriteErrorLine("")
    }
}
