// SPDX-License-Identifier: Apache-2.0

/// How fast background work may read and write: a token bucket that holds a second's worth.
///
/// A plain value: it says when to go on, and its owner waits.
struct IOBudget: Sendable {
    private let bytesPerSecond: Int
    /// Tokens of one byte, negative while more was used than came in.
    private var available: Int
    private var filled: MonotonicTime

    /// - Precondition: `bytesPerSecond` is positive.
    init(bytesPerSecond: Int, now: MonotonicTime) {
        precondition(bytesPerSecond > 0, "a budget of no bytes a second never ends")
        // More than any disk does is no bound, and sums of it must not overflow.
        self.bytesPerSecond = min(bytesPerSecond, Int(Limits.number))
        available = self.bytesPerSecond
        filled = now
    }

    /// Takes what was just read or written. Returns when the next may follow; nil when at once.
    mutating func spend(_ bytes: Int, now: MonotonicTime) -> MonotonicTime? {
        let elapsed = now.nanoseconds > filled.nanoseconds ? now.nanoseconds - filled.nanoseconds : 0
        let earned = Double(elapsed) / 1e9 * Double(bytesPerSecond)
        // The rest of a byte is not lost: time counts as used only when it earned something.
        if earned >= 1 {
            available = min(bytesPerSecond, available + Int(min(earned, Double(bytesPerSecond) * 2)))
            filled = now
        }
        available -= bytes
        guard available < 0 else { return nil }
        return now.advanced(by: .nanoseconds(Int64(Double(-available) / Double(bytesPerSecond) * 1e9)))
    }
}

/// Holds background work to its budget, and lets it be stopped while it waits.
final class Throttle: Sendable {
    private let isStopped = Monitor(false)

    /// Stops what waits now and what comes later.
    func stop() { isStopped.withLockWakingAll { $0 = true } }

    /// Waits as long as the budget asks for.
    ///
    /// - Throws: ``StoreError/Code/closed`` when it was stopped.
    func spend(_ bytes: Int, of budget: inout IOBudget?) throws(StoreError) {
        let due = budget?.spend(bytes, now: .now())
        let goesOn = isStopped.wait { isStopped, deadline -> Bool? in
            if isStopped { return false }
            guard let due, due > .now() else { return true }
            deadline = due
            return nil
        }
        if !goesOn { throw StoreError(.closed, "the store is closing") }
    }
}
