// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern

private func time(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Timestamp {
    Timestamp(
        milliseconds: CivilTime(year: year, month: month, day: day, hour: hour, minute: minute).seconds * 1000)
}

/// Berlin as its file says it, so that the tests do not depend on the machine's database.
private let berlin = TimeZoneRules(
    name: "Europe/Berlin", rule: "CET-1CEST,M3.5.0,M10.5.0/3")

struct CronTests {
    @Test(
        "T16: the next due time of an expression",
        arguments: [
            ("* * * * *", time(2026, 11, 24, 10, 31)), ("*/15 * * * *", time(2026, 11, 24, 10, 45)),
            ("0 9-17/4 * * *", time(2026, 11, 24, 13)), ("30 6 * * MON-FRI", time(2026, 11, 25, 6, 30)),
            ("0 0 1 * *", time(2026, 12, 1)), ("0 0 29 2 *", time(2028, 2, 29)),
            ("0 12 13 * FRI", time(2026, 11, 27, 12)), ("0 0 * * 7", time(2026, 11, 29)),
            ("@yearly", time(2027, 1, 1)), ("5,35 10 24 NOV *", time(2026, 11, 24, 10, 35)),
        ])
    func isDue(_ text: String, _ due: Timestamp) throws {
        #expect(try CronExpression(text).next(after: time(2026, 11, 24, 10, 30)) == due)
    }

    @Test("T16: an expression that is never due says so") func isNeverDue() throws {
        #expect(try CronExpression("0 0 30 2 *").next(after: time(2026, 1, 1)) == nil)
    }

    @Test(
        "T16: what is no expression is refused",
        arguments: [
            "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
            "*/0 * * * *", "5-1 * * * *", "a * * * *", "1- * * * *", ", * * * *", "-1 * * * *", "* * * FOO *",
            "99999999999999999999 * * * *", "@reboot", "1/99 * * * *", "１ * * * *",
        ])
    func isRefused(_ text: String) {
        #expect(throws: CronExpression.ParseError.self) { try CronExpression(text) }
    }

    @Test("T16: a time that the clocks leave out is due as much later as they jump")
    func skipsNothingInSpring() throws {
        let daily = try CronExpression("30 2 * * *")
        // 29 March 2026, 02:00 becomes 03:00: 02:30 is due at 03:30 CEST, which is 01:30 at Greenwich.
        #expect(daily.next(after: time(2026, 3, 28, 12), in: berlin) == time(2026, 3, 29, 1, 30))
        #expect(daily.next(after: time(2026, 3, 29, 1, 30), in: berlin) == time(2026, 3, 30, 0, 30))
    }

    @Test("T16: a time that comes twice is due once, and every hour means every hour")
    func repeatsNothingInAutumn() throws {
        // 25 October 2026, 03:00 CEST becomes 02:00 CET.
        let daily = try CronExpression("30 2 * * *")
        #expect(daily.next(after: time(2026, 10, 24, 12), in: berlin) == time(2026, 10, 25, 0, 30))
        #expect(daily.next(after: time(2026, 10, 25, 0, 30), in: berlin) == time(2026, 10, 26, 1, 30))
        let hourly = try CronExpression("30 * * * *")
        var due: [Timestamp] = []
        var now = time(2026, 10, 24, 23)
        for _ in 0..<4 {
            now = try #require(hourly.next(after: now, in: berlin))
            due.append(now)
        }
        #expect(due == (0..<4).map { time(2026, 10, 24, 23, 30).advanced(by: .seconds(3600 * $0)) })
    }

    @Test("T16: an expression is due at exactly the minutes that fit it", arguments: 0..<40)
    func agreesWithLookingAtEveryMinute(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func field(_ range: ClosedRange<Int>) -> String {
            let low = range.lowerBound + random.below(range.count)
            switch random.below(4) {
            case 0: return "*"
            case 1: return "\(low)"
            case 2: return "\(low)-\(low + random.below(range.upperBound - low + 1))/\(1 + random.below(3))"
            default: return "*/\(1 + random.below(5))"
            }
        }
        let parts = [field(0...59), field(0...23), field(1...28), field(1...12), field(0...6)]
        let expression = try CronExpression(parts.joined(separator: " "))
        func fits(_ part: String, _ value: Int, _ range: ClosedRange<Int>) -> Bool {
            let step = part.split(separator: "/").dropFirst().first.flatMap { Int($0) } ?? 1
            let base = part.split(separator: "/")[0]
            if base == "*" { return (value - range.lowerBound) % step == 0 }
            let ends = base.split(separator: "-").compactMap { Int($0) }
            return value >= ends[0] && value <= ends[ends.count - 1] && (value - ends[0]) % step == 0
        }
        var now = time(2026, 1 + random.below(12), 1 + random.below(28), random.below(24), random.below(60))
        let found = expression.next(after: now)
        for _ in 0..<20_000 {
            now = now.advanced(by: .seconds(60))
            if let found, now > found { break }
            let civil = CivilTime(seconds: now.rawValue / 1000)
            let day = fits(parts[2], civil.day, 1...31)
            let weekday = fits(parts[4], civil.weekday, 0...7)
            let either = !parts[2].hasPrefix("*") && !parts[4].hasPrefix("*")
            let isDue =
                fits(parts[0], civil.minute, 0...59) && fits(parts[1], civil.hour, 0...23)
                && fits(parts[3], civil.month, 1...12) && (either ? day || weekday : day && weekday)
            guard isDue == (now == found) else {
                Issue.record("\(expression) at \(civil): \(String(describing: found))")
                return
            }
        }
    }
}

struct TimeZoneTests {
    @Test("The calendar agrees with counting days one by one") func countsDays() {
        var day = CivilTime(year: 1896, month: 2, day: 28).dayNumber
        var weekday = CivilTime.weekday(ofDay: day)
        var date = CivilTime(year: 1896, month: 2, day: 28)
        while date.year < 2105 {
            guard CivilTime(dayNumber: day) == date, date.dayNumber == day, date.weekday == weekday else {
                Issue.record("\(date) is not day \(day)")
                return
            }
            day += 1
            weekday = (weekday + 1) % 7
            let isLeap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0)
            let length = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][date.month - 1]
            date.day += 1
            if date.day > length { (date.day, date.month) = (1, date.month + 1) }
            if date.month > 12 { (date.month, date.year) = (1, date.year + 1) }
        }
        #expect(CivilTime(seconds: 0) == CivilTime(year: 1970, month: 1, day: 1))
        #expect(CivilTime(year: 1970, month: 1, day: 1).weekday == 4)
    }

    @Test("Rules of both halves of the earth, and odd ones") func readsRules() throws {
        func offset(_ rule: String, _ at: Timestamp) throws -> Int? {
            try PosixTimeZone(parsing: rule)?.offset(at: at.rawValue / 1000)
        }
        #expect(try offset("CET-1CEST,M3.5.0,M10.5.0/3", time(2026, 7, 1)) == 7200)
        #expect(try offset("CET-1CEST,M3.5.0,M10.5.0/3", time(2026, 12, 1)) == 3600)
        #expect(try offset("AEST-10AEDT,M10.1.0,M4.1.0/3", time(2026, 1, 1)) == 39_600)
        #expect(try offset("AEST-10AEDT,M10.1.0,M4.1.0/3", time(2026, 7, 1)) == 36_000)
        #expect(try offset("<+0545>-5:45", time(2026, 7, 1)) == 20_700)
        #expect(try offset("EST5EDT,0/0,J365/25", time(2026, 7, 1)) == -14_400)
        #expect(try offset("", time(2026, 7, 1)) == nil)
        for bad in ["X", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M1.1.0", "<abc-1", "CET-999", "CET-1X"] {
            #expect(throws: TimeZoneFileError.self) { try PosixTimeZone(parsing: bad) }
        }
    }

    @Test("A time zone file that was cut, flipped or made up is refused or read, never a crash", arguments: 0..<50)
    func survivesDamage(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bytes = TimeZoneRules.file(
            transitions: [(-1_000_000, 0), (0, 1), (1_000_000, 0)], types: [3600, 7200],
            rule: "CET-1CEST,M3.5.0,M10.5.0")
        #expect((try? TimeZoneRules(name: "x", bytes: bytes))?.offset(at: 10) == 7200)
        #expect((try? TimeZoneRules(name: "x", bytes: bytes))?.offset(at: -10) == 3600)
        for _ in 0..<200 {
            var damaged = bytes
            damaged[random.below(damaged.count)] = UInt8(truncatingIfNeeded: random.next())
            damaged.removeLast(random.chance(1, in: 2) ? random.below(damaged.count) : 0)
            if let zone = try? TimeZoneRules(name: "x", bytes: damaged) { _ = zone.seconds(ofLocal: 1_800_000_000) }
        }
        bytes = random.bytes(100)
        #expect(throws: TimeZoneFileError.self) { try TimeZoneRules(name: "x", bytes: bytes) }
    }

    @Test(
        "A name that is no zone's is a clear error",
        arguments: ["", "/etc/passwd", "../../etc/passwd", "Europe/..", "Mars/Olympus", "a\0b", "Europe"])
    func refusesNames(_ name: String) {
        let error = #expect(throws: SchedulerError.self) { try TimeZoneRules(named: name) }
        #expect(error?.code == .unknownTimeZone)
    }
}

extension TimeZoneRules {
    init(name: String, rule: String) {
        // A file without transitions, whose rule holds from the beginning. One that cannot be read fails every test.
        self = (try? TimeZoneRules(name: name, bytes: Self.file(transitions: [], types: [0], rule: rule))) ?? .utc
    }

    /// The bytes of a time zone file.
    static func file(transitions: [(Int64, UInt8)], types: [Int32], rule: String) -> [UInt8] {
        func block(timeSize: Int) -> [UInt8] {
            var bytes = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
            for count in [0, 0, 0, transitions.count, types.count, 4] {
                bytes += withUnsafeBytes(of: UInt32(count).bigEndian, Array.init)
            }
            for (time, _) in transitions {
                bytes += withUnsafeBytes(of: time.bigEndian, Array.init).suffix(timeSize)
            }
            bytes += transitions.map(\.1)
            for type in types { bytes += withUnsafeBytes(of: type.bigEndian, Array.init) + [0, 0] }
            return bytes + Array("ABC\0".utf8)
        }
        return block(timeSize: 4) + block(timeSize: 8) + [0x0A] + Array(rule.utf8) + [0x0A]
    }
}
