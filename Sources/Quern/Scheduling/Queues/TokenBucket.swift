// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// So many tasks a second on average, and no more than a burst at once (T16).
///
/// The usual token bucket: it fills at a steady rate up to the burst, and each task takes a token out. Time is given
/// with each call; a clock that was set back only stops the filling until it has caught up.
struct TokenBucket: Sendable, Equatable {
    let limit: RateLimit
    /// What has come in, in whole numbers so that nothing gets lost: `period` in milliseconds make a token.
    private var credit: Int64
    private var filledAt: Timestamp

    /// A full bucket.
    init(_ limit: RateLimit, now: Timestamp) {
        self.limit = limit
        credit = Int64(limit.burst) * limit.periodMilliseconds
        filledAt = now
    }

    private var capacity: Int64 { Int64(limit.burst) * limit.periodMilliseconds }

    /// How long a token takes to come, in whole milliseconds.
    var interval: Duration { .milliseconds(limit.periodMilliseconds / Int64(limit.count) + 1) }

    /// How many tasks may start now.
    mutating func available(at now: Timestamp) -> Int {
        fill(at: now)
        return max(0, Int(credit / limit.periodMilliseconds))
    }

    /// Takes tokens that are there.
    mutating func take(_ count: Int) { credit -= Int64(count) * limit.periodMilliseconds }

    /// Gives tokens back, of tasks that did not start after all.
    mutating func giveBack(_ count: Int) {
        credit = min(capacity, credit + Int64(count) * limit.periodMilliseconds)
    }

    /// When there will be a token; `now` when there is one.
    mutating func nextToken(after now: Timestamp) -> Timestamp {
        fill(at: now)
        let missing = limit.periodMilliseconds - credit
        guard missing > 0 else { return now }
        let count = Int64(limit.count)
        return now.advanced(by: .milliseconds((missing + count - 1) / count))
    }

    private mutating func fill(at now: Timestamp) {
        guard now > filledAt else { return }
        let (elapsed, overflow) = now.rawValue.subtractingReportingOverflow(filledAt.rawValue)
        let full = (capacity - credit) / Int64(limit.count) + 1
        credit = overflow || elapsed >= full ? capacity : min(capacity, credit + elapsed * Int64(limit.count))
        filledAt = now
    }
}

/// A limit on how many tasks start in a time.
public struct RateLimit: Sendable, Equatable, Codable {
    /// Tasks that may start in each ``period`` on average; at least 1.
    public let count: UInt32
    /// A millisecond to a week, in whole milliseconds.
    public let period: Duration
    /// Tasks that may start at once after a quiet time; at least 1.
    public let burst: UInt32

    /// - Parameter burst: as many as `count` unless said otherwise.
    public init(_ count: UInt32, per period: Duration, burst: UInt32? = nil) {
        self.count = max(1, count)
        self.period = .milliseconds(Int64(min(max(1, period.inMilliseconds), 7 * 24 * 3600 * 1e3)))
        self.burst = max(1, burst ?? count)
    }

    var periodMilliseconds: Int64 { Int64(period.inMilliseconds) }
}
