// SPDX-License-Identifier: Apache-2.0

/// Writes one JSON value on one line: just what the output of `dirscan` needs, without Foundation, whose start alone
/// takes longer than a small scan.
struct JSONLine {
    private(set) var text = ""
    private var needsComma = false

    mutating func object(_ body: (inout JSONLine) -> Void) { nest("{", "}", body) }
    mutating func array(_ body: (inout JSONLine) -> Void) { nest("[", "]", body) }

    /// The name of the value that is written next.
    mutating func name(_ name: String) {
        string(name)
        text += ":"
        needsComma = false
    }

    mutating func number(_ value: UInt64) { write(String(value)) }
    mutating func bool(_ value: Bool) { write(value ? "true" : "false") }

    /// A number with three digits behind the point.
    mutating func seconds(_ duration: Duration) {
        let (seconds, attoseconds) = max(duration, .zero).components
        let digits = String(1000 + attoseconds / 1_000_000_000_000_000)
        write("\(seconds).\(digits.dropFirst())")
    }

    mutating func string(_ value: String) {
        var quoted = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\u{0}"..<"\u{20}":
                let low = UInt8(scalar.value)
                quoted += "\\u00"
                quoted.unicodeScalars.append(Unicode.Scalar(PathBytes.hexadecimalDigit(low >> 4)))
                quoted.unicodeScalars.append(Unicode.Scalar(PathBytes.hexadecimalDigit(low & 15)))
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        write(quoted + "\"")
    }

    private mutating func write(_ value: String) {
        if needsComma { text += "," }
        text += value
        needsComma = true
    }

    private mutating func nest(_ open: String, _ close: String, _ body: (inout JSONLine) -> Void) {
        write(open)
        needsComma = false
        body(&self)
        text += close
        needsComma = true
    }
}
