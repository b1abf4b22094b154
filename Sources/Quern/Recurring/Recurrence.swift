// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// When a recurring task is due.
public struct Recurrence: Sendable, Hashable, Codable {
    enum Rule: Sendable, Hashable, Codable {
        case interval(milliseconds: Int64)
        case cron(CronExpression, timeZone: String)

        private static let longestInterval: Int64 = 10 * 366 * 86_400_000

        /// The same with an interval of a millisecond to ten years, whatever it was decoded from.
        var inRange: Rule {
            guard case .interval(let milliseconds) = self else { return self }
            return .interval(milliseconds: min(max(1, milliseconds), Self.longestInterval))
        }
    }

    let rule: Rule

    /// Each time that so much time has passed since the schedule was made; at least a millisecond, at most ten years.
    public static func every(_ interval: Duration) -> Recurrence {
        let milliseconds = Int64(min(max(1, interval.inMilliseconds), 9e15))
        return Recurrence(rule: Rule.interval(milliseconds: milliseconds).inRange)
    }

    /// At the times of a cron expression, as the clocks of a time zone show them.
    ///
    /// - Parameter timeZone: a name of the system's database, such as `"Europe/Berlin"`.
    public static func cron(_ expression: CronExpression, timeZone: String = "UTC") -> Recurrence {
        Recurrence(rule: .cron(expression, timeZone: timeZone))
    }

    /// At the times of a cron expression, such as `"0 3 * * MON"`.
    ///
    /// - Throws: ``CronExpression/ParseError``.
    public static func cron(
        _ expression: String, timeZone: String = "UTC"
    ) throws(CronExpression.ParseError) -> Recurrence {
        .cron(try CronExpression(expression), timeZone: timeZone)
    }
}

/// What becomes of the times that passed while no scheduler ran.
public enum MissedTicks: String, Sendable, Codable {
    /// They are not made up for.
    case skip
    /// The last one of them is, for all.
    case latest
    /// Each one is.
    case all
}
