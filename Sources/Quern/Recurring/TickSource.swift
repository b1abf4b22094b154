// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The due times of a schedule: a recurrence with its time zone, from where it began. A plain value.
struct TickSource: Sendable {
    private let rule: Recurrence.Rule
    private let zone: TimeZoneRules
    /// Intervals are counted from here.
    private let start: Timestamp

    init(_ recurrence: Recurrence, zone: TimeZoneRules, start: Timestamp) {
        rule = recurrence.rule.inRange
        self.zone = zone
        self.start = start
    }

    /// The first due time after another time; nil when there is none.
    func next(after time: Timestamp) -> Timestamp? {
        switch rule {
        case .cron(let expression, _): return expression.next(after: time, in: zone)
        case .interval(let interval):
            // Before the start, too: a clock may have been wrong then.
            let (passed, overflow) = time.rawValue.subtractingReportingOverflow(start.rawValue)
            let (offset, overflow2) = passed.flooredQuotient(interval).addingSaturating(1)
                .multipliedReportingOverflow(by: interval)
            let (due, overflow3) = start.rawValue.addingReportingOverflow(offset)
            return overflow || overflow2 || overflow3 ? nil : Timestamp(milliseconds: due)
        }
    }

    /// The last due time up to `end` and after `begin`; nil when there is none.
    ///
    /// - Complexity: O(log time passed) for intervals and most expressions; a window that doubles backwards finds it.
    func last(after begin: Timestamp, upTo end: Timestamp) -> Timestamp? {
        var window: Int64 = 60_000
        while true {
            let from = Timestamp(milliseconds: max(begin.rawValue, end.rawValue.subtractingSaturating(window)))
            if var found = next(after: from), found <= end {
                while let later = next(after: found), later <= end { found = later }
                return found
            }
            if from == begin || window == .max { return nil }
            window = window.addingSaturating(window)
        }
    }
}

extension Int64 {
    func addingSaturating(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (self < 0 ? .min : .max) : sum
    }

    func subtractingSaturating(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (self < 0 ? .min : .max) : difference
    }
}
