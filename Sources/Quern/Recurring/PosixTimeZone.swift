// SPDX-License-Identifier: Apache-2.0

/// A zone as POSIX writes it in the TZ variable, `CET-1CEST,M3.5.0,M10.5.0/3`: what holds behind the last transition
/// that a time zone file lists.
struct PosixTimeZone: Sendable, Equatable {
    /// A moment in each year, in local time.
    private enum Day: Equatable {
        /// 1 to 365; 29 February is never counted.
        case julian(Int)
        /// 0 to 365.
        case ordinal(Int)
        /// Month, week (5 is the last), day of the week.
        case weekday(month: Int, week: Int, day: Int)
    }

    private struct Change: Equatable {
        var day: Day
        var seconds: Int
    }

    private let standard: Int
    private let summer: Int?
    private let begin: Change
    private let end: Change

    /// - Returns: nil for an empty text: nothing is known of that time, and the last offset stays.
    init?(parsing text: String) throws(TimeZoneFileError) {
        guard !text.isEmpty else { return nil }
        var parser = Parser(text)
        try parser.name()
        standard = -(try parser.time())
        guard !parser.isAtEnd else {
            summer = nil
            begin = Change(day: .ordinal(0), seconds: 0)
            end = begin
            return
        }
        try parser.name()
        summer = parser.next == "," || parser.isAtEnd ? standard + 3600 : -(try parser.time())
        guard parser.take(",") else { throw TimeZoneFileError("rule \"\(text.prefix(80))\" has no changes") }
        begin = try parser.change()
        guard parser.take(",") else { throw TimeZoneFileError("rule \"\(text.prefix(80))\" has one change") }
        end = try parser.change()
        guard parser.isAtEnd else { throw TimeZoneFileError("rule \"\(text.prefix(80))\" does not end") }
    }

    func offset(at seconds: Int64) -> Int {
        guard let summer else { return standard }
        let year = CivilTime(seconds: seconds + Int64(standard)).year
        let begins = Self.seconds(of: begin, in: year) - Int64(standard)
        let ends = Self.seconds(of: end, in: year) - Int64(summer)
        // On the southern half of the earth summer begins late in the year and ends early in it.
        let isSummer = begins < ends ? begins <= seconds && seconds < ends : !(ends <= seconds && seconds < begins)
        return isSummer ? summer : standard
    }

    private static func seconds(of change: Change, in year: Int) -> Int64 {
        let newYear = CivilTime(year: year, month: 1, day: 1).dayNumber
        let day: Int
        switch change.day {
        case .julian(let number):
            let isLeap = CivilTime(year: year, month: 3, day: 1).dayNumber - newYear == 60
            day = newYear + number - 1 + (isLeap && number >= 60 ? 1 : 0)
        case .ordinal(let number): day = newYear + number
        case .weekday(let month, let week, let weekday):
            let first = CivilTime(year: year, month: month, day: 1)
            var number = first.dayNumber + (weekday - first.weekday + 7) % 7 + (week - 1) * 7
            let next =
                month == 12
                ? CivilTime(year: year + 1, month: 1, day: 1) : CivilTime(year: year, month: month + 1, day: 1)
            if number >= next.dayNumber { number -= 7 }
            day = number
        }
        return Int64(day) * 86_400 + Int64(change.seconds)
    }

    private struct Parser {
        private var rest: Substring
        private let text: String

        init(_ text: String) {
            self.text = text
            rest = text[...]
        }

        var next: Character? { rest.first }
        var isAtEnd: Bool { rest.isEmpty }
        private var error: TimeZoneFileError { TimeZoneFileError("rule \"\(text.prefix(80))\" cannot be read") }

        mutating func take(_ character: Character) -> Bool {
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }

        mutating func name() throws(TimeZoneFileError) {
            if take("<") {
                guard let end = rest.firstIndex(of: ">") else { throw error }
                rest = rest[rest.index(after: end)...]
            } else {
                let name = rest.prefix { $0.isLetter }
                guard name.count >= 3 else { throw error }
                rest = rest[name.endIndex...]
            }
        }

        mutating func number(_ range: ClosedRange<Int>) throws(TimeZoneFileError) -> Int {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard digits.count <= 4, let number = Int(digits), range.contains(number) else { throw error }
            rest = rest[digits.endIndex...]
            return number
        }

        /// `[+-]h[:m[:s]]` in seconds.
        mutating func time() throws(TimeZoneFileError) -> Int {
            let isNegative = take("-")
            if !isNegative { _ = take("+") }
            var seconds = try number(0...167) * 3600
            if take(":") {
                seconds += try number(0...59) * 60
                if take(":") { seconds += try number(0...59) }
            }
            return isNegative ? -seconds : seconds
        }

        mutating func change() throws(TimeZoneFileError) -> Change {
            let day: Day
            if take("M") {
                let month = try number(1...12)
                guard take(".") else { throw error }
                let week = try number(1...5)
                guard take(".") else { throw error }
                day = .weekday(month: month, week: week, day: try number(0...6))
            } else if take("J") {
                day = .julian(try number(1...365))
            } else {
                day = .ordinal(try number(0...365))
            }
            return Change(day: day, seconds: take("/") ? try time() : 7200)
        }
    }
}
