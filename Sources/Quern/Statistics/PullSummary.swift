// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What of a pull that is over goes into the statistics.
struct PullSummary: Sendable, Equatable {
    /// Attempts, and how long they took in all.
    var tried = 0
    var elapsed = Duration.zero
    /// How long the tasks had been ready; nil when they did not come from the queues.
    var queued: Duration?
    var ended = OutcomeCounts()
    var retried = 0
    /// What handlers said that they read and wrote.
    var io = RecordedIO()
}
