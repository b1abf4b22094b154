// SPDX-License-Identifier: Apache-2.0
import Histogram
import QuernStore

/// Adds up what the tasks of one type do. A plain state machine, told once a pull.
struct TypeRecorder: Sendable {
    private var ended = OutcomeCounts()
    private var retries: UInt64 = 0
    private var io = RecordedIO()
    private var rate = RateMeter()
    private var durations = Self.makeHistogram()
    private var queued = Self.makeHistogram()

    /// Nanoseconds up to a day, within 1 %: what is longer counts as a day.
    private static let longest: UInt64 = 86_400_000_000_000
    private static func makeHistogram() -> Histogram<UInt64> {
        Histogram(lowestDiscernibleValue: 16, highestTrackableValue: longest, numberOfSignificantValueDigits: .two)
    }

    mutating func add(_ pull: PullSummary, at now: Timestamp) {
        ended.add(pull.ended)
        retries += UInt64(pull.retried)
        io.add(read: pull.io.readBytes, written: pull.io.writeBytes)
        if pull.ended.total > 0 { rate.add(pull.ended.total, at: now) }
        if pull.tried > 0 {
            let mean = pull.elapsed.nanoseconds / UInt64(pull.tried)
            durations.record(min(mean, Self.longest), count: UInt64(pull.tried))
        }
        if let waited = pull.queued { queued.record(min(waited.nanoseconds, Self.longest)) }
    }

    mutating func statistics(of type: TaskType, at now: Timestamp) -> TypeStatistics {
        var statistics = TypeStatistics(type: type)
        statistics.ended = ended
        statistics.retries = retries
        statistics.readBytes = io.readBytes
        statistics.writtenBytes = io.writeBytes
        statistics.endedPerSecond = rate.perSecond(at: now)
        statistics.durations = DurationStatistics(durations)
        statistics.queued = DurationStatistics(queued)
        return statistics
    }
}

extension DurationStatistics {
    init(_ histogram: Histogram<UInt64>) {
        self.init()
        guard histogram.totalCount > 0 else { return }
        count = histogram.totalCount
        mean = .nanoseconds(Int64(histogram.mean))
        median = .nanoseconds(Int64(clamping: histogram.valueAtPercentile(50)))
        p99 = .nanoseconds(Int64(clamping: histogram.valueAtPercentile(99)))
        maximum = .nanoseconds(Int64(clamping: histogram.max))
    }
}

extension Duration {
    /// Whole nanoseconds; 0 when negative, the largest number when there are more.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole + UInt64(attoseconds / 1_000_000_000)
    }
}
