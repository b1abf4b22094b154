// SPDX-License-Identifier: Apache-2.0

extension PathBytes: CustomStringConvertible {
    /// The path for people, for logs and for JSON: one line, no control characters, and no two paths alike.
    ///
    /// Readable text stays as it is. A backslash is doubled; line feed, carriage return and tab become `\n`, `\r` and
    /// `\t`; every byte that is not part of valid UTF-8, and every byte of a character that steers a terminal or turns
    /// the direction of text, becomes `\xHH`. So the bytes can be had back, and a file name cannot forge output.
    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + 8)
        var rest = bytes[...]
        while let byte = rest.first {
            let (length, isPlain) = Self.character(at: rest)
            if isPlain && byte != Self.backslash {
                text.append(contentsOf: rest.prefix(length))
            } else {
                for byte in rest.prefix(length) { Self.escape(byte, into: &text) }
            }
            rest = rest.dropFirst(length)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static let backslash = UInt8(ascii: "\\")

    private static func escape(_ byte: UInt8, into text: inout [UInt8]) {
        text.append(backslash)
        switch byte {
        case backslash: text.append(backslash)
        case UInt8(ascii: "\n"): text.append(UInt8(ascii: "n"))
        case UInt8(ascii: "\r"): text.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\t"): text.append(UInt8(ascii: "t"))
        default:
            text.append(UInt8(ascii: "x"))
            text.append(hexadecimalDigit(byte >> 4))
            text.append(hexadecimalDigit(byte & 15))
        }
    }

    static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    /// The length of the character that `bytes` begin with, and whether it may be shown. A byte that begins no valid
    /// character is one character that may not.
    private static func character(at bytes: ArraySlice<UInt8>) -> (length: Int, isPlain: Bool) {
        let start = bytes.startIndex
        let lead = bytes[start]
        if lead < 0x80 { return (1, lead >= 0x20 && lead != 0x7F) }
        let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
        guard (0xC2...0xF4).contains(lead), bytes.count >= length else { return (1, false) }
        var scalar = UInt32(lead) & (0x7F >> UInt32(length))
        for byte in bytes[(start + 1)..<(start + length)] {
            if byte & 0xC0 != 0x80 { return (1, false) }
            scalar = scalar << 6 | UInt32(byte & 0x3F)
        }
        let shortest: [UInt32] = [0, 0, 0x80, 0x800, 0x1_0000]
        guard scalar >= shortest[length], Unicode.Scalar(scalar) != nil else { return (1, false) }
        return (length, !isSteering(scalar))
    }

    /// C1 controls, line separators, and the marks that turn the direction of text.
    private static func isSteering(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x80...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
