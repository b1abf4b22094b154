// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// So many tokens in a time on average, and no more than a burst at once (T16): starts of tasks, or bytes.
///
/// The usual token bucket: it fills at a steady rate up to the burst, and what starts takes tokens out. Who takes more
/// than there are leaves a debt, which is to be filled first. Time is given with each call; a clock that was set back
/// neither adds nor takes anything, and it fills on from there.
struct TokenBucket: Sendable, Equatable {
    struct Filling: Sendable, Equatable {
        /// Tokens that come in each period.
        var count: Int64
        /// In milliseconds.
        var period: Int64
        var burst: Int64
    }

    private let filling: Filling
    /// What has come in, in whole numbers so that nothing gets lost: `period` make a token. Negative for a debt.
    private var credit: Int64
    private var filledAt: Timestamp

    /// No debt is deeper. So no sum with it overflows.
    private static let deepest: Int64 = -1 << 61

    /// A full bucket.
    init(filling: Filling, now: Timestamp) {
        self.filling = filling
        credit = filling.burst * filling.period
        filledAt = now
    }

    /// A full bucket of starts.
    init(_ limit: RateLimit, now: Timestamp) {
        self.init(
            filling: Filling(
                count: Int64(limit.count), period: Int64(limit.period.inMilliseconds), burst: Int64(limit.burst)),
            now: now)
    }

    private var capacity: Int64 { filling.burst * filling.period }

    /// How long a token takes to come, in whole milliseconds.
    var interval: Duration { .milliseconds(filling.period / filling.count + 1) }

    /// How many tokens there are now; none when there is a debt.
    mutating func available(at now: Timestamp) -> Int {
        fill(at: now)
        return max(0, Int(credit / filling.period))
    }

    /// Takes tokens.
    mutating func take(_ count: Int, at now: Timestamp) {
        // What came in beyond the burst before is not there to be taken.
        fill(at: now)
        credit = max(Self.deepest, credit.subtractingSaturating(amount(count)))
    }

    /// Gives tokens back, of tasks that did not start after all, or took less.
    mutating func giveBack(_ count: Int) { credit = min(capacity, credit + amount(count)) }

    private func amount(_ count: Int) -> Int64 {
        let (amount, overflow) = Int64(count).multipliedReportingOverflow(by: filling.period)
        return overflow ? -Self.deepest : min(amount, -Self.deepest)
    }

    /// When there will be a token; `now` when there is one.
    mutating func nextToken(after now: Timestamp) -> Timestamp {
        fill(at: now)
        let missing = filling.period - credit
        guard missing > 0 else { return now }
        return now.advanced(by: .milliseconds((missing + filling.count - 1) / filling.count))
    }

    private mutating func fill(at now: Timestamp) {
        if now.isSetBack(from: filledAt) { filledAt = now }
        guard now > filledAt else { return }
        let (elapsed, overflow) = now.rawValue.subtractingReportingOverflow(filledAt.rawValue)
        let full = (capacity - credit) / filling.count + 1
        credit = overflow || elapsed >= full ? capacity : min(capacity, credit + elapsed * filling.count)
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

    /// What a file says is brought within bounds as what a call says.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decode(UInt32.self, forKey: .count),
            per: try container.decode(Duration.self, forKey: .period),
            burst: try container.decode(UInt32.self, forKey: .burst))
    }
}
