// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// When a recurring task is due, in the notation of cron: `"*/15 6-22 * * MON-FRI"`.
///
/// Five fields: minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or JAN-DEC), day of the week (0-7 or
/// SUN-SAT; 0 and 7 are Sunday). A field is `*`, a number, a range `a-b`, each with a step `/n`, or a list of those.
/// `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` are short for the obvious. When both the day of the month
/// and the day of the week are restricted, one of them has to fit, as in Vixie's cron.
///
/// When clocks go forward, a time that does not exist is due as much later as the clocks jumped; when they go back, a
/// time that comes twice is due the first time. Expressions with `*` for the hour go by elapsed time instead.
public struct CronExpression: Sendable, Hashable {
    /// What is wrong with an expression.
    public struct ParseError: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// The longest expression, in bytes of UTF-8.
    public static let maximumLength = 1000

    /// As it was written.
    public let text: String
    private let minutes: UInt64
    private let hours: UInt64
    private let days: UInt64
    private let months: UInt64
    private let weekdays: UInt64
    private let isEveryHour: Bool
    private let restrictsDays: Bool
    private let restrictsWeekdays: Bool

    private static let shortcuts = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    private static let monthNames = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ]
    private static let weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

    /// - Throws: ``ParseError`` that names the field.
    public init(_ text: String) throws(ParseError) {
        guard text.utf8.count <= Self.maximumLength else {
            throw ParseError(description: "\(text.utf8.count) bytes; the limit is \(Self.maximumLength)")
        }
        self.text = text
        let expanded = Self.shortcuts[text.lowercased()] ?? text
        let parts = expanded.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { $0.uppercased() }
        guard parts.count == 5 else {
            throw ParseError(description: "\"\(text.prefix(80))\" has \(parts.count) fields; five are needed")
        }
        minutes = try Self.parse(parts[0], "minute", 0...59)
        hours = try Self.parse(parts[1], "hour", 0...23)
        days = try Self.parse(parts[2], "day of the month", 1...31)
        months = try Self.parse(parts[3], "month", 1...12, names: Self.monthNames, firstName: 1)
        let week = try Self.parse(parts[4], "day of the week", 0...7, names: Self.weekdayNames)
        weekdays = (week | week >> 7) & 0x7F
        isEveryHour = hours == (1 << 24) - 1
        restrictsDays = !parts[2].hasPrefix("*")
        restrictsWeekdays = !parts[4].hasPrefix("*")
    }

    private static func parse(
        _ field: String, _ name: String, _ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0
    ) throws(ParseError) -> UInt64 {
        func number(_ text: Substring) throws(ParseError) -> Int {
            if let index = names.firstIndex(of: String(text)) { return index + firstName }
            guard !text.isEmpty, text.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(text),
                range.contains(number)
            else {
                throw ParseError(description: "\(name) \"\(text)\" is not in \(range.lowerBound)-\(range.upperBound)")
            }
            return number
        }
        var bits: UInt64 = 0
        for item in field.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var step = 1
            if parts.count == 2 {
                guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), let given = Int(parts[1]), given > 0,
                    given <= range.upperBound
                else { throw ParseError(description: "\(name) has the step \"\(parts[1])\"") }
                step = given
            }
            var bounds = range
            if parts[0] != "*" {
                let ends = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
                let first = try number(ends[0])
                let last = ends.count == 2 ? try number(ends[1]) : parts.count == 2 ? range.upperBound : first
                guard first <= last else { throw ParseError(description: "\(name) \"\(item)\" ends before it begins") }
                bounds = first...last
            }
            for value in stride(from: bounds.lowerBound, through: bounds.upperBound, by: step) { bits |= 1 << value }
        }
        return bits
    }

    /// The first due time after `time`; nil when there is none within ten years (such as 30 February).
    ///
    /// - Complexity: O(days until then).
    public func next(after time: Timestamp, in zone: TimeZoneRules = .utc) -> Timestamp? {
        let seconds = time.rawValue.flooredQuotient(1000)
        guard abs(seconds) < 1 << 37 else { return nil }
        let local = seconds + Int64(zone.offset(at: seconds))
        let today = CivilTime(seconds: local).dayNumber
        // A day before, since a time of that day may be due later than its name says.
        for day in (today - 1)...(today + 3660) where includes(day) {
            let due =
                isEveryHour ? nextByElapsedTime(on: day, after: seconds, zone) : next(on: day, after: seconds, zone)
            if let due { return Timestamp(milliseconds: due * 1000) }
        }
        return nil
    }

    private func includes(_ day: Int) -> Bool {
        let date = CivilTime(dayNumber: day)
        guard months & 1 << date.month != 0 else { return false }
        let fitsDay = days & 1 << date.day != 0
        let fitsWeekday = weekdays & 1 << CivilTime.weekday(ofDay: day) != 0
        return restrictsDays && restrictsWeekdays ? fitsDay || fitsWeekday : fitsDay && fitsWeekday
    }

    private func next(on day: Int, after seconds: Int64, _ zone: TimeZoneRules) -> Int64? {
        for hour in 0..<24 where hours & 1 << hour != 0 {
            for minute in 0..<60 where minutes & 1 << minute != 0 {
                let due = zone.seconds(ofLocal: Int64(day) * 86_400 + Int64(hour * 3600 + minute * 60))
                if due > seconds { return due }
            }
        }
        return nil
    }

    private func nextByElapsedTime(on day: Int, after seconds: Int64, _ zone: TimeZoneRules) -> Int64? {
        let end = zone.seconds(ofLocal: Int64(day + 1) * 86_400)
        var due = max(zone.seconds(ofLocal: Int64(day) * 86_400), (seconds.flooredQuotient(60) + 1) * 60)
        while due < end {
            let minute = CivilTime(seconds: due + Int64(zone.offset(at: due))).minute
            if minutes & 1 << minute != 0 { return due }
            due += 60
        }
        return nil
    }
}

extension CronExpression: CustomStringConvertible {
    public var description: String { text }
}

extension CronExpression: Codable {
    public init(from decoder: any Decoder) throws { try self.init(decoder.singleValueContainer().decode(String.self)) }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
