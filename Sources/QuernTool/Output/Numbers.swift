// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Numbers, sizes and times as people read them, without Foundation.
enum Numbers {
    /// 1,234,567
    static func grouped(_ value: some BinaryInteger) -> String {
        let digits = String(value.magnitude)
        var result = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
            result.append(digit)
        }
        return result
    }

    /// 12.3 MiB; below 1 KiB the number of bytes.
    static func bytes(_ count: some BinaryInteger) -> String {
        if count < 1024 { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        while value >= 1023.95, unit < 6 {
            value /= 1024
            unit += 1
        }
        return fixed(value, digits: 1) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit]
    }

    /// With a fixed count of digits behind the point.
    static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let scaled = Int((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        if digits == 0 { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(sign)\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// 34.5 %
    static func percent(_ part: Double, of whole: Double) -> String {
        whole > 0 ? fixed(100 * part / whole, digits: 1) + " %" : "-"
    }

    /// 350 ms, 12.3 s, 4 min 5 s, 3 h 20 min, 12 d 4 h; of a clock that was set back meanwhile 0 ms.
    static func duration(milliseconds: Int64) -> String {
        let value = max(milliseconds, 0)
        let seconds = value / 1000
        switch value {
        case ..<1000: return "\(value) ms"
        case ..<60_000: return fixed(Double(value / 100) / 10, digits: 1) + " s"
        case ..<3_600_000: return "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400_000: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
        default: return "\(seconds / 86400) d \(seconds / 3600 % 24) h"
        }
    }

    /// See ``TextBuffer/append(time:)``.
    static func time(_ time: Timestamp) -> String {
        var buffer = TextBuffer()
        buffer.append(time: time)
        return buffer.text
    }
}
