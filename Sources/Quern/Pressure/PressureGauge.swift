// SPDX-License-Identifier: Apache-2.0
import Metrics
import QuernStore
import Synchronization

/// Asks the sources of pressure, on a thread of its own: they may read files, and are the user's.
///
/// | metric | kind | dimensions | |
/// |---|---|---|---|
/// | `quern.pressure` | gauge | queue, source | from 0 to 1; not told while the source cannot tell |
/// | `quern.throttle.priority` | gauge | queue | the smallest priority number that is held back; 256 for none |
/// | `quern.throttle.concurrency` | gauge | queue | how many handlers may run at a time |
final class PressureGauge: Sendable {
    let interval: Duration
    private let sources: [any PressureSource]
    private let gauges: [Gauge]
    private let heldPriority: Gauge?
    private let concurrency: Gauge?
    /// One, so that a reading is never overtaken by an older one.
    private let thread = ThreadPool(limit: 1)
    private let last = Mutex<[PressureReading]>([])

    init(_ configuration: TaskScheduler.Configuration) {
        sources = configuration.pressureSources
        interval = .milliseconds(max(1, Int64(min(configuration.pressureInterval.inMilliseconds, 86_400_000))))
        let (queue, factory) = (("queue", configuration.name), configuration.metrics)
        gauges = sources.map {
            Gauge(label: "quern.pressure", dimensions: [queue, ("source", $0.name)], factory: factory)
        }
        func gauge(_ label: String) -> Gauge { Gauge(label: label, dimensions: [queue], factory: factory) }
        heldPriority = sources.isEmpty ? nil : gauge("quern.throttle.priority")
        concurrency = sources.isEmpty ? nil : gauge("quern.throttle.concurrency")
    }

    /// Whether there is anybody to ask.
    var isUsed: Bool { !sources.isEmpty }

    var readings: [PressureReading] { last.withLock { $0 } }

    /// Asks all sources, and passes on the highest pressure before the next reading begins. When no thread can be had
    /// nobody is asked, and what was known goes on.
    func read(at now: Timestamp, _ body: @escaping @Sendable (_ highest: Double?) -> SchedulerPressure) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            do throws(StoreError) {
                try thread.submit {
                    self.note(body(self.highest(at: now)))
                    continuation.resume()
                }
            } catch {
                note(body(nil))
                continuation.resume()
            }
        }
    }

    private func highest(at now: Timestamp) -> Double {
        let readings = sources.map { source in
            let value = source.pressure(at: now).map { ThrottlePolicy.Step.share($0, else: 0) }
            return PressureReading(source: source.name, value: value)
        }
        last.withLock { $0 = readings }
        for (gauge, reading) in zip(gauges, readings) { if let value = reading.value { gauge.record(value) } }
        return readings.reduce(0) { max($0, $1.value ?? 0) }
    }

    private func note(_ pressure: SchedulerPressure) {
        heldPriority?.record((pressure.heldPriority.map(Int64.init) ?? 256))
        concurrency?.record(Int64(pressure.concurrency))
    }
}
