// SPDX-License-Identifier: Apache-2.0

/// Checks JSON text that is passed through, in one pass and without building anything.
struct JSONText {
    /// Deeper nesting is refused, as most readers do: the check goes into itself.
    private static let maximumDepth = 256

    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if !bytes.allSatisfy({ $0 < 0x80 }), String(validating: bytes, as: UTF8.self) == nil { return false }
        var text = JSONText(bytes: bytes)
        guard text.value(depth: 0) else { return false }
        text.skipSpace()
        return text.place == bytes.count
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { place += 1 }
    }

    private mutating func value(depth: Int) -> Bool {
        guard depth < Self.maximumDepth else { return false }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"):
            return list(UInt8(ascii: "}")) { text in
                text.skipSpace()
                guard text.string() else { return false }
                text.skipSpace()
                return text.take(UInt8(ascii: ":")) && text.value(depth: depth + 1)
            }
        case UInt8(ascii: "["): return list(UInt8(ascii: "]")) { $0.value(depth: depth + 1) }
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    private mutating func list(_ end: UInt8, _ element: (inout JSONText) -> Bool) -> Bool {
        place += 1
        skipSpace()
        if take(end) { return true }
        repeat {
            guard element(&self) else { return false }
            skipSpace()
        } while take(UInt8(ascii: ","))
        return take(end)
    }

    private mutating func word(_ word: StaticString) -> Bool {
        word.withUTF8Buffer { word in
            for byte in word { guard take(byte) else { return false } }
            return true
        }
    }

    private mutating func string() -> Bool {
        guard take(UInt8(ascii: "\"")) else { return false }
        while let byte = next {
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"):
                guard let escape = next else { return false }
                place += 1
                switch escape {
                case UInt8(ascii: "u"):
                    for _ in 0..<4 {
                        guard let digit = next, Character(Unicode.Scalar(digit)).isHexDigit else { return false }
                        place += 1
                    }
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                    UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                    break
                default: return false
                }
            default: break
            }
        }
        return false
    }

    private mutating func digits() -> Bool {
        let start = place
        while let byte = next, 0x30...0x39 ~= byte { place += 1 }
        return place > start
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")), !digits() { return false }
        if take(UInt8(ascii: ".")), !digits() { return false }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            return digits()
        }
        return true
    }
}
