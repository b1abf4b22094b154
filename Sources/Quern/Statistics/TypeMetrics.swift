// SPDX-License-Identifier: Apache-2.0
import Metrics
import QuernStore

/// The metrics of one type, for whichever system `MetricsSystem.bootstrap` was given before the scheduler was made.
///
/// | label | kind | dimensions | |
/// |---|---|---|---|
/// | `quern.tasks` | counter | name, queue, status | ends and retries; status as ``OutcomeKind``, or `retried` |
/// | `quern.tasks.bytes` | counter | name, queue, direction | what handlers said that they `read` and have `written` |
/// | `quern.tasks.duration` | timer | name, queue | of a handler's call; a sample a pull, the mean of its tasks |
/// | `quern.tasks.queued.duration` | timer | name, queue | from ready to a worker; a sample a pull |
/// | `quern.tasks.meter` | meter | name, queue, status | tasks that are `queued` or `processing`, once a second |
///
/// The shapes are those of swift-jobs' metrics middleware (labels there begin with `swift.jobs`), so that its boards
/// need other labels and nothing else. A pull of quick tasks makes one sample, since a sample a task costs more than
/// such a task does.
struct TypeMetrics: Sendable {
    /// By the raw value of the kind.
    private let ends: [(kind: OutcomeKind, counter: Counter)]
    private let retries: Counter
    private let readBytes: Counter
    private let writtenBytes: Counter
    private let duration: Timer
    private let queuedDuration: Timer
    private let queued: Meter
    private let processing: Meter

    init(_ type: TaskType, queue: String, _ factory: any MetricsFactory) {
        let dimensions = [("name", type.name), ("queue", queue)]
        func counter(_ status: String) -> Counter {
            Counter(label: "quern.tasks", dimensions: dimensions + [("status", status)], factory: factory)
        }
        func meter(_ status: String) -> Meter {
            Meter(label: "quern.tasks.meter", dimensions: dimensions + [("status", status)], factory: factory)
        }
        ends = OutcomeKind.allCases.map { ($0, counter("\($0)")) }
        retries = counter("retried")
        func bytes(_ direction: String) -> Counter {
            Counter(label: "quern.tasks.bytes", dimensions: dimensions + [("direction", direction)], factory: factory)
        }
        readBytes = bytes("read")
        writtenBytes = bytes("written")
        duration = Timer(label: "quern.tasks.duration", dimensions: dimensions, factory: factory)
        queuedDuration = Timer(label: "quern.tasks.queued.duration", dimensions: dimensions, factory: factory)
        queued = meter("queued")
        processing = meter("processing")
    }

    func add(_ pull: PullSummary) {
        for (kind, counter) in ends where pull.ended[kind] > 0 { counter.increment(by: pull.ended[kind]) }
        if pull.retried > 0 { retries.increment(by: pull.retried) }
        if pull.io.tasks > 0 {
            readBytes.increment(by: Int64(clamping: pull.io.readBytes))
            writtenBytes.increment(by: Int64(clamping: pull.io.writeBytes))
        }
        if pull.tried > 0 {
            duration.recordNanoseconds(Int64(clamping: pull.elapsed.nanoseconds / UInt64(pull.tried)))
        }
        if let waited = pull.queued { queuedDuration.recordNanoseconds(Int64(clamping: waited.nanoseconds)) }
    }

    func note(_ load: Dispatcher.Load) {
        queued.set(load.queued)
        processing.set(load.processing)
    }
}
