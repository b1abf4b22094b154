// SPDX-License-Identifier: Apache-2.0

/// A date and time of day on a wall, without a place on earth: proleptic Gregorian calendar, minutes.
struct CivilTime: Sendable, Equatable {
    var year: Int
    /// 1 to 12.
    var month: Int
    /// 1 to 31.
    var day: Int
    var hour = 0
    var minute = 0

    /// Days since 1970-01-01. Months are counted from March, so that the day that leap years add comes last.
    var dayNumber: Int {
        let year = month <= 2 ? self.year - 1 : self.year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Seconds since the epoch, were this the time at Greenwich.
    var seconds: Int64 { Int64(dayNumber) * 86_400 + Int64(hour * 3600 + minute * 60) }

    /// 0 is Sunday.
    var weekday: Int { Self.weekday(ofDay: dayNumber) }

    static func weekday(ofDay number: Int) -> Int { (number % 7 + 11) % 7 }

    /// The first minute of a day.
    init(dayNumber: Int) {
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// - Parameter seconds: since the epoch, with the zone's offset added.
    init(seconds: Int64) {
        let day = Int(seconds.flooredQuotient(86_400))
        self.init(dayNumber: day)
        let rest = Int(seconds - Int64(day) * 86_400)
        hour = rest / 3600
        minute = rest / 60 % 60
    }

    init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
    }
}

extension Int64 {
    /// The quotient rounded down, for a positive divisor.
    func flooredQuotient(_ divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
