// SPDX-License-Identifier: Apache-2.0

/// Text that is put together byte by byte, without a string for each part: what is printed for each of ten million
/// children goes through it.
struct TextBuffer: Sendable {
    private var storage: [UInt8] = []
    private(set) var count = 0

    var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    func withBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let count = count
        let result = storage.withUnsafeBytes { bytes -> Result<Value, Failure> in
            do throws(Failure) { return .success(try body(UnsafeRawBufferPointer(rebasing: bytes[..<count]))) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Keeps the room.
    mutating func removeAll() { count = 0 }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        storage[count] = byte
        count += 1
    }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(UnsafeRawBufferPointer($0)) }
    }

    mutating func append(text: some StringProtocol) {
        let isAppended: Void? = text.utf8.withContiguousStorageIfAvailable { append(UnsafeRawBufferPointer($0)) }
        if isAppended == nil { for byte in text.utf8 { append(byte) } }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        let start = count
        storage.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[start...]).copyMemory(from: bytes) }
        count += bytes.count
    }

    /// A number, and in front of it as many spaces as it takes to fill `width`.
    mutating func append(decimal value: UInt64, width: Int = 0) { append(magnitude: value, isNegative: false, width) }

    mutating func append(decimal value: Int64, width: Int = 0) {
        append(magnitude: value.magnitude, isNegative: value < 0, width)
    }

    private mutating func append(magnitude: UInt64, isNegative: Bool, _ width: Int) {
        var digits = 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        let length = max(digits + (isNegative ? 1 : 0), width)
        reserve(length)
        let (start, end) = (count, count + length)
        storage.withUnsafeMutableBufferPointer { bytes in
            var place = end
            var rest = magnitude
            repeat {
                place -= 1
                bytes[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
                rest /= 10
            } while rest > 0
            if isNegative {
                place -= 1
                bytes[place] = 0x2D
            }
            while place > start {
                place -= 1
                bytes[place] = 0x20
            }
        }
        count = end
    }

    /// Two digits a byte.
    mutating func append(hex bytes: UnsafeRawBufferPointer) {
        reserve(2 * bytes.count)
        let start = count
        storage.withUnsafeMutableBufferPointer { storage in
            for (index, byte) in bytes.enumerated() {
                storage[start + 2 * index] = Self.digit(byte >> 4)
                storage[start + 2 * index + 1] = Self.digit(byte & 15)
            }
        }
        count += 2 * bytes.count
    }

    /// Four digits for three bytes.
    mutating func append(base64 bytes: UnsafeRawBufferPointer) {
        let length = Base64.length(of: bytes.count)
        reserve(length)
        let start = count
        storage.withUnsafeMutableBufferPointer { storage in
            Base64.encode(bytes, to: UnsafeMutableBufferPointer(rebasing: storage[start..<(start + length)]))
        }
        count += length
    }

    /// As a text of people, with what would move a terminal's cursor or change its colours escaped. Bytes that are no
    /// UTF-8 become U+FFFD.
    mutating func append(printable bytes: UnsafeRawBufferPointer) {
        if bytes.allSatisfy({ 0x20..<0x7F ~= $0 && $0 != 0x5C }) { return append(bytes) }
        append(text: Printable.text(String(decoding: bytes, as: UTF8.self)))
    }

    /// The text inside the quotes of a JSON string. Bytes that are no UTF-8 become U+FFFD.
    mutating func append(jsonEscaped bytes: UnsafeRawBufferPointer) {
        if !bytes.allSatisfy({ $0 < 0x80 }), String(validating: bytes, as: UTF8.self) == nil {
            var repaired = String(decoding: bytes, as: UTF8.self)
            return repaired.withUTF8 { append(validEscaped: UnsafeRawBufferPointer($0)) }
        }
        append(validEscaped: bytes)
    }

    private mutating func append(validEscaped bytes: UnsafeRawBufferPointer) {
        var start = 0
        for index in bytes.indices {
            let byte = bytes[index]
            // The first of two bytes, the second of which is one of U+0080 to U+009F, which move cursors too.
            if byte == 0xC2, bytes[index + 1] < 0xA0 {
                append(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
                append(unicodeEscape: bytes[index + 1])
                start = index + 2
                continue
            }
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F else { continue }
            append(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
            start = index + 1
            switch byte {
            case 0x22: append("\\\"")
            case 0x5C: append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            default: append(unicodeEscape: byte)
            }
        }
        append(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }

    private mutating func append(unicodeEscape value: UInt8) {
        append("\\u00")
        append(Self.digit(value >> 4))
        append(Self.digit(value & 15))
    }

    /// JSON text that is known to be valid, on one line. What would move a terminal's cursor is in its strings alone,
    /// and is escaped there.
    mutating func append(json bytes: UnsafeRawBufferPointer) {
        var start = 0
        for index in bytes.indices {
            let byte = bytes[index]
            let isControl = byte == 0xC2 && index + 1 < bytes.count && bytes[index + 1] < 0xA0
            guard byte == 0x0A || byte == 0x0D || byte == 0x7F || isControl else { continue }
            append(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
            start = index + 1
            if byte < 0x20 {
                append(0x20)
            } else if byte == 0x7F {
                append(unicodeEscape: byte)
            } else {
                append(unicodeEscape: bytes[start])
                start += 1
            }
        }
        append(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    private mutating func reserve(_ extra: Int) {
        let needed = count + extra
        if needed > storage.count {
            storage.append(contentsOf: repeatElement(0, count: max(needed, 2 * storage.count, 256) - storage.count))
        }
    }
}
