// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How many tasks a second, over the last seconds. A plain state machine.
struct RateMeter: Sendable {
    /// How many seconds it looks back.
    static let window = 10

    /// Tasks of each second, at the second's number modulo the window; the one that is not over included.
    private var counts = [UInt64](repeating: 0, count: window + 1)
    private var newest: Int64 = .min
    private var oldest: Int64?

    private mutating func move(to second: Int64) {
        guard second > newest else { return }
        let gap = newest == .min ? Int64(counts.count) : min(second - newest, Int64(counts.count))
        for back in 0..<gap { counts[slot(second - back)] = 0 }
        newest = second
    }

    private func slot(_ second: Int64) -> Int {
        let remainder = Int(second % Int64(counts.count))
        return remainder < 0 ? remainder + counts.count : remainder
    }

    private static func second(of time: Timestamp) -> Int64 {
        // Far from both ends, so that differences never overflow.
        max(-(1 << 53), min(1 << 53, time.rawValue)) / 1000
    }

    mutating func add(_ count: UInt64, at time: Timestamp) {
        let second = Self.second(of: time)
        move(to: second)
        oldest = oldest ?? second
        // A clock that was turned back counts into the newest second.
        counts[slot(newest)] += count
    }

    /// Over the last ``window`` whole seconds, or as many as there were.
    mutating func perSecond(at time: Timestamp) -> Double {
        guard let oldest else { return 0 }
        let second = Self.second(of: time)
        move(to: second)
        let seconds = min(Int64(Self.window), newest - oldest)
        // Within the first second there is nothing else to say.
        guard seconds > 0 else { return Double(counts[slot(newest)]) }
        var total: UInt64 = 0
        for back in 1...seconds { total += counts[slot(newest - back)] }
        return Double(total) / Double(seconds)
    }
}
