// SPDX-License-Identifier: Apache-2.0

/// What is wrong with an imported file, and in which line.
struct ImportFailure: Error, Equatable, CustomStringConvertible {
    /// From 1.
    var line: Int
    var reason: String

    var description: String { "line \(line): \(reason)" }
}

/// One line of an exported store: an object with known fields, each once, whose values are texts and whole numbers.
///
/// It is used again from line to line; what it gives out is valid until the next.
struct ExchangeLine {
    struct Malformed: Error { var reason: String }

    private enum Value {
        case number(magnitude: UInt64, isNegative: Bool)
        /// The bytes between the quotes.
        case text(Range<Int>, hasEscapes: Bool)
    }

    private var values = [Value?](repeating: nil, count: ExchangeField.allCases.count)
    private var present: [ExchangeField] = []

    // MARK: Parsing

    mutating func parse(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
        for field in present { values[Int(field.rawValue)] = nil }
        present.removeAll(keepingCapacity: true)
        var scanner = Scanner(bytes: bytes)
        scanner.skipSpace()
        try scanner.expect(UInt8(ascii: "{"))
        scanner.skipSpace()
        if scanner.next != UInt8(ascii: "}") {
            while true {
                try parseField(&scanner)
                scanner.skipSpace()
                guard scanner.next == UInt8(ascii: ",") else { break }
                scanner.offset += 1
                scanner.skipSpace()
            }
        }
        try scanner.expect(UInt8(ascii: "}"))
        scanner.skipSpace()
        guard scanner.next == nil else { throw Malformed(reason: "more than one object") }
    }

    private mutating func parseField(_ scanner: inout Scanner) throws(Malformed) {
        let (name, _) = try scanner.text()
        guard let field = ExchangeField(UnsafeRawBufferPointer(rebasing: scanner.bytes[name])) else {
            throw Malformed(reason: "a field that an exported store does not have, at byte \(name.lowerBound)")
        }
        guard values[Int(field.rawValue)] == nil else { throw Malformed(reason: "\(field.text) twice") }
        scanner.skipSpace()
        try scanner.expect(UInt8(ascii: ":"))
        scanner.skipSpace()
        let value: Value
        if scanner.next == UInt8(ascii: "\"") {
            let (range, hasEscapes) = try scanner.text()
            value = .text(range, hasEscapes: hasEscapes)
        } else {
            let (magnitude, isNegative) = try scanner.number()
            value = .number(magnitude: magnitude, isNegative: isNegative)
        }
        values[Int(field.rawValue)] = value
        present.append(field)
    }

    private struct Scanner {
        let bytes: UnsafeRawBufferPointer
        var offset = 0

        var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

        mutating func skipSpace() {
            while offset < bytes.count, bytes[offset] == 0x20 || bytes[offset] == 0x09 || bytes[offset] == 0x0D {
                offset += 1
            }
        }

        mutating func expect(_ byte: UInt8) throws(Malformed) {
            guard next == byte else {
                throw Malformed(reason: "no '\(Unicode.Scalar(byte))' at byte \(offset)")
            }
            offset += 1
        }

        mutating func text() throws(Malformed) -> (Range<Int>, hasEscapes: Bool) {
            try expect(UInt8(ascii: "\""))
            let start = offset
            var hasEscapes = false
            while offset < bytes.count {
                switch bytes[offset] {
                case UInt8(ascii: "\""):
                    offset += 1
                    return (start..<(offset - 1), hasEscapes)
                case UInt8(ascii: "\\"):
                    hasEscapes = true
                    offset += 2
                case 0..<0x20: throw Malformed(reason: "a control character at byte \(offset)")
                default: offset += 1
                }
            }
            throw Malformed(reason: "a text without end at byte \(start - 1)")
        }

        mutating func number() throws(Malformed) -> (UInt64, isNegative: Bool) {
            let start = offset
            let isNegative = next == UInt8(ascii: "-")
            if isNegative { offset += 1 }
            let digits = offset
            var value: UInt64 = 0
            while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                let (product, overflows) = value.multipliedReportingOverflow(by: 10)
                let (sum, carries) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
                if overflows || carries { throw Malformed(reason: "a number too large at byte \(start)") }
                value = sum
                offset += 1
            }
            guard offset > digits else { throw Malformed(reason: "neither text nor number at byte \(start)") }
            guard offset == digits + 1 || bytes[digits] != UInt8(ascii: "0") else {
                throw Malformed(reason: "a number that begins with 0 at byte \(start)")
            }
            if let byte = next, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(byte) {
                throw Malformed(reason: "a number that is not whole at byte \(start)")
            }
            return (value, isNegative)
        }
    }

    // MARK: Values

    /// Checks that it has no other fields.
    func allow(_ fields: ExchangeFields) throws(Malformed) {
        for field in present where !fields.contains(field) && field != .type {
            throw Malformed(reason: "\(field.text) does not belong here")
        }
    }

    func has(_ field: ExchangeField) -> Bool { values[Int(field.rawValue)] != nil }

    private func value(_ field: ExchangeField) throws(Malformed) -> Value {
        guard let value = values[Int(field.rawValue)] else { throw Malformed(reason: "\(field.text) is missing") }
        return value
    }

    func number(_ field: ExchangeField, upTo limit: UInt64 = 1 << 60) throws(Malformed) -> UInt64 {
        guard case .number(let magnitude, let isNegative) = try value(field), !isNegative || magnitude == 0 else {
            throw Malformed(reason: "\(field.text) is no number from 0 on")
        }
        guard magnitude <= limit else { throw Malformed(reason: "\(field.text) is above \(limit)") }
        return magnitude
    }

    func byte(_ field: ExchangeField) throws(Malformed) -> UInt8 {
        UInt8(truncatingIfNeeded: try number(field, upTo: 255))
    }

    func word(_ field: ExchangeField) throws(Malformed) -> UInt32 {
        UInt32(truncatingIfNeeded: try number(field, upTo: UInt64(UInt32.max)))
    }

    func time(_ field: ExchangeField) throws(Malformed) -> Int64 {
        guard case .number(let magnitude, let isNegative) = try value(field),
            magnitude <= UInt64(Int64.max) + (isNegative ? 1 : 0)
        else { throw Malformed(reason: "\(field.text) is no time") }
        return isNegative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude)
    }

    /// Appends what a text stands for as Base64.
    func bytes(
        _ field: ExchangeField, in line: UnsafeRawBufferPointer, to target: inout [UInt8]
    ) throws(Malformed) {
        guard case .text(let range, let hasEscapes) = try value(field), !hasEscapes,
            Base64.decode(UnsafeRawBufferPointer(rebasing: line[range]), to: &target)
        else { throw Malformed(reason: "\(field.text) is no Base64") }
    }

    func bytes(_ field: ExchangeField, in line: UnsafeRawBufferPointer) throws(Malformed) -> [UInt8] {
        var target: [UInt8] = []
        try bytes(field, in: line, to: &target)
        return target
    }

    /// Which of some texts it is.
    func choice<Choice>(
        _ field: ExchangeField, in line: UnsafeRawBufferPointer, of choices: [(text: StaticString, value: Choice)]
    ) throws(Malformed) -> Choice {
        if case .text(let range, _) = try value(field) {
            for choice in choices where choice.text.utf8CodeUnitCount == range.count {
                let text = UnsafeRawBufferPointer(start: choice.text.utf8Start, count: range.count)
                if text.elementsEqual(line[range]) { return choice.value }
            }
        }
        throw Malformed(reason: "\(field.text) is none that an exported store has")
    }

    func text(_ field: ExchangeField, in line: UnsafeRawBufferPointer) throws(Malformed) -> String {
        guard case .text(let range, let hasEscapes) = try value(field) else {
            throw Malformed(reason: "\(field.text) is no text")
        }
        let bytes = UnsafeRawBufferPointer(rebasing: line[range])
        let unescaped = hasEscapes ? try Self.unescape(bytes, field) : Array(bytes)
        guard let text = String(validating: unescaped, as: UTF8.self) else {
            throw Malformed(reason: "\(field.text) is no UTF-8")
        }
        return text
    }

    private static func unescape(
        _ bytes: UnsafeRawBufferPointer, _ field: ExchangeField
    ) throws(Malformed) -> [UInt8] {
        var result: [UInt8] = []
        var offset = 0
        func unit() -> UInt32? {
            guard offset + 4 <= bytes.count else { return nil }
            var value: UInt32 = 0
            for byte in bytes[offset..<(offset + 4)] {
                guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
                value = value << 4 | UInt32(digit)
            }
            offset += 4
            return value
        }
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            let kind = offset < bytes.count ? bytes[offset] : 0
            offset += 1
            switch kind {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(kind)
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "u"):
                guard var value = unit() else { throw Malformed(reason: "an escape in \(field.text)") }
                if value & 0xFC00 == 0xD800 {
                    guard offset + 6 <= bytes.count, bytes[offset] == UInt8(ascii: "\\"),
                        bytes[offset + 1] == UInt8(ascii: "u")
                    else { throw Malformed(reason: "half a character in \(field.text)") }
                    offset += 2
                    guard let low = unit(), low & 0xFC00 == 0xDC00 else {
                        throw Malformed(reason: "half a character in \(field.text)")
                    }
                    value = 0x10000 + ((value & 0x3FF) << 10 | low & 0x3FF)
                }
                guard let scalar = Unicode.Scalar(value) else {
                    throw Malformed(reason: "half a character in \(field.text)")
                }
                result.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            default: throw Malformed(reason: "an escape in \(field.text)")
            }
        }
        return result
    }
}
