// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// How often a failing task is tried, and how long it waits in between (T15).
///
/// ```swift
/// $0.register(Uploader(), retry: .exponential(from: .seconds(1), attempts: 8, cap: .seconds(300)))
/// ```
///
/// A task whose last attempt fails is dead-lettered. A ``PermanentError`` skips the remaining attempts, and a
/// ``DelaysRetry`` error replaces the delay. An attempt that a stop or a crash cut short does not count.
public struct RetryPolicy: Sendable, Equatable {
    enum Growth: Sendable, Equatable {
        case constant
        case linear
        case exponential(factor: Double)
    }

    /// How often a task is tried in all; at least 1.
    public var maximumAttempts: UInt32 { didSet { maximumAttempts = max(1, maximumAttempts) } }
    /// The delay before the second attempt, up to ``longestDelay``.
    public var firstDelay: Duration { didSet { firstDelay = Self.inRange(firstDelay) } }
    /// No delay is longer; up to ``longestDelay``.
    public var cap: Duration { didSet { cap = Self.inRange(cap) } }
    /// The share of each delay, 0 to 1, that is taken off or not by chance, so that tasks that failed together do
    /// not all come back together. It follows from the task's id and attempt: the same task waits the same time.
    public var jitter: Double { didSet { jitter = Self.share(jitter) } }
    let growth: Growth

    /// The longest delay: a year.
    public static let longestDelay = Duration.seconds(365 * 24 * 3600)

    /// What is out of range is brought into it, here and where it is set later: a stored policy that nobody could read
    /// would hold its task for ever.
    init(attempts: UInt32, firstDelay: Duration, cap: Duration, jitter: Double, growth: Growth) {
        maximumAttempts = max(1, attempts)
        self.firstDelay = Self.inRange(firstDelay)
        self.cap = Self.inRange(cap)
        self.jitter = Self.share(jitter)
        self.growth = growth
    }

    private static func inRange(_ delay: Duration) -> Duration { min(max(.zero, delay), longestDelay) }

    /// 0 for what is no number.
    private static func share(_ number: Double) -> Double { number > 0 ? min(number, 1) : 0 }

    /// One attempt.
    public static let none = RetryPolicy(attempts: 1, firstDelay: .zero, cap: .zero, jitter: 0, growth: .constant)

    /// The same delay each time.
    public static func constant(_ delay: Duration, attempts: UInt32, jitter: Double = 0) -> RetryPolicy {
        RetryPolicy(attempts: attempts, firstDelay: delay, cap: longestDelay, jitter: jitter, growth: .constant)
    }

    /// `delay`, twice that, three times that, up to `cap`.
    public static func linear(
        by delay: Duration, attempts: UInt32, cap: Duration = longestDelay, jitter: Double = 0
    ) -> RetryPolicy {
        RetryPolicy(attempts: attempts, firstDelay: delay, cap: cap, jitter: jitter, growth: .linear)
    }

    /// `delay`, then each time `factor` times longer, up to `cap`.
    ///
    /// - Parameter factor: 1 to a million.
    public static func exponential(
        from delay: Duration, factor: Double = 2, attempts: UInt32, cap: Duration = longestDelay,
        jitter: Double = 0.25
    ) -> RetryPolicy {
        RetryPolicy(
            attempts: attempts, firstDelay: delay, cap: cap, jitter: jitter,
            growth: .exponential(factor: factor > 1 ? min(factor, 1e6) : 1))
    }

    /// The delay after a task failed for the `attempts`th time.
    ///
    /// - Complexity: O(1).
    public func delay(afterAttempt attempts: UInt32, of task: TaskID) -> Duration {
        let first = firstDelay.inMilliseconds
        let steps = max(1, attempts) - 1
        let grown =
            switch growth {
            case .constant: first
            case .linear: first * (Double(steps) + 1)
            case .exponential(let factor): first * Self.power(factor, steps)
            }
        let capped = min(grown, cap.inMilliseconds)
        let chance = Double(Self.mix(task.rawValue &+ UInt64(attempts) << 48) >> 11) / Double(1 << 53)
        return .milliseconds(Int64((capped * (1 - jitter * chance)).rounded()))
    }

    /// `base` to the power of a whole number; stops growing at 10 to the 300.
    private static func power(_ base: Double, _ exponent: UInt32) -> Double {
        var (result, square, left) = (1.0, base, exponent)
        while left > 0 {
            if left & 1 == 1 { result = min(result * square, 1e300) }
            square = min(square * square, 1e300)
            left >>= 1
        }
        return result
    }

    /// The finalizer of SplitMix64: neighbouring numbers in, unrelated numbers out.
    private static func mix(_ number: UInt64) -> UInt64 {
        var mixed = number &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension RetryPolicy {
    /// What follows from a failed attempt.
    enum Decision: Equatable {
        /// Try again after this time.
        case retry(after: Duration)
        /// Ended: the attempts are used up.
        case deadLetter
        /// Ended: no attempt was left by policy or by the error's nature.
        case fail
    }

    /// - Parameter attempts: how often the task was tried, this time included.
    func decision(after error: any Error, attempts: UInt32, of task: TaskID) -> Decision {
        if error is PermanentError || maximumAttempts <= 1 { return .fail }
        if attempts >= maximumAttempts { return .deadLetter }
        if let suggestion = error as? any DelaysRetry {
            return .retry(after: min(max(.zero, suggestion.retryAfter), Self.longestDelay))
        }
        return .retry(after: delay(afterAttempt: attempts, of: task))
    }
}

extension Duration {
    var inMilliseconds: Double {
        Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15
    }
}

extension Timestamp {
    /// This long after; stays within the range of a timestamp.
    func advanced(by duration: Duration) -> Timestamp {
        let milliseconds = max(-9e15, min(duration.inMilliseconds.rounded(.up), 9e15))
        return Timestamp(milliseconds: rawValue.addingSaturating(Int64(milliseconds)))
    }
}
