// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension TextBuffer {
    /// 2026-11-29T00:39:09.123Z; the milliseconds themselves where no calendar has them.
    mutating func append(time: Timestamp) {
        let milliseconds = time.rawValue
        guard (-62_135_596_800_000..<253_402_300_800_000).contains(milliseconds) else {
            return append(decimal: milliseconds)
        }
        let inDay = (milliseconds % 86_400_000 + 86_400_000) % 86_400_000
        let (year, month, day) = Self.date(day: (milliseconds - inDay) / 86_400_000)
        let seconds = inDay / 1000
        append(padded: year, 4)
        append(0x2D)
        append(padded: month, 2)
        append(0x2D)
        append(padded: day, 2)
        append(0x54)
        append(padded: seconds / 3600, 2)
        append(0x3A)
        append(padded: seconds / 60 % 60, 2)
        append(0x3A)
        append(padded: seconds % 60, 2)
        append(0x2E)
        append(padded: inDay % 1000, 3)
        append(0x5A)
    }

    private mutating func append(padded value: Int64, _ width: Int) {
        var scale: Int64 = 1
        for _ in 1..<width { scale *= 10 }
        while scale > 0 {
            append(UInt8(truncatingIfNeeded: 0x30 + value / scale % 10))
            scale /= 10
        }
    }

    /// The day of the Gregorian calendar, so many days after 1970-01-01. Years begin in March, so that the odd day
    /// of a leap year is the last one.
    private static func date(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
