// SPDX-License-Identifier: Apache-2.0

/// Bytes as text (RFC 4648, the standard alphabet with padding): each text stands for other bytes.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// What a byte stands for; 255 for none.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    /// How long the text of so many bytes is.
    static func length(of count: Int) -> Int { (count + 2) / 3 * 4 }

    /// Fills `text`, which has the length that it takes.
    static func encode(_ bytes: UnsafeRawBufferPointer, to text: UnsafeMutableBufferPointer<UInt8>) {
        digits.withUnsafeBufferPointer { digits in
            var (from, to) = (0, 0)
            while from < bytes.count {
                let left = bytes.count - from
                var group = UInt32(bytes[from]) << 16
                if left > 1 { group |= UInt32(bytes[from + 1]) << 8 }
                if left > 2 { group |= UInt32(bytes[from + 2]) }
                text[to] = digits[Int(group >> 18)]
                text[to + 1] = digits[Int(group >> 12 & 63)]
                text[to + 2] = left > 1 ? digits[Int(group >> 6 & 63)] : 0x3D
                text[to + 3] = left > 2 ? digits[Int(group & 63)] : 0x3D
                (from, to) = (from + 3, to + 4)
            }
        }
    }

    /// Appends the bytes that a text stands for. Returns false, with some of them appended, when it stands for none.
    static func decode(_ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) -> Bool {
        guard text.count % 4 == 0 else { return false }
        if text.isEmpty { return true }
        let padding = text[text.count - 1] != 0x3D ? 0 : text[text.count - 2] != 0x3D ? 1 : 2
        let whole = padding == 0 ? text.count : text.count - 4
        return values.withUnsafeBufferPointer { values in
            var isValid = true
            bytes.append(addingCapacity: text.count / 4 * 3 - padding) { span in
                span.withUnsafeMutableBufferPointer { target, used in
                    var place = 0
                    while place < whole {
                        let (a, b) = (values[Int(text[place])], values[Int(text[place + 1])])
                        let (c, d) = (values[Int(text[place + 2])], values[Int(text[place + 3])])
                        isValid = isValid && (a | b | c | d) < 64
                        target.initializeElement(at: used, to: a << 2 | b >> 4)
                        target.initializeElement(at: used + 1, to: b << 4 | c >> 2)
                        target.initializeElement(at: used + 2, to: c << 6 | d)
                        used += 3
                        place += 4
                    }
                    guard padding > 0 else { return }
                    let (a, b) = (values[Int(text[place])], values[Int(text[place + 1])])
                    let c = padding == 1 ? values[Int(text[place + 2])] : 0
                    // Bits that stand for nothing are zero.
                    isValid = isValid && (a | b | c) < 64 && (padding == 1 ? c & 3 == 0 : b & 15 == 0)
                    target.initializeElement(at: used, to: a << 2 | b >> 4)
                    used += 1
                    guard padding == 1 else { return }
                    target.initializeElement(at: used, to: b << 4 | c >> 2)
                    used += 1
                }
            }
            return isValid
        }
    }
}
