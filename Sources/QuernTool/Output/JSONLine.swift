// SPDX-License-Identifier: Apache-2.0

/// Writes the fields of a JSON object, in the order in which they are given. Names are in snake_case; a name that was
/// printed once keeps its meaning.
struct JSONLine {
    var buffer = TextBuffer()
    private var needsComma = false

    // MARK: Fields of an object

    mutating func field(_ name: StaticString, _ value: UInt64) {
        key(name)
        buffer.append(decimal: value)
    }

    mutating func field(_ name: StaticString, _ value: some BinaryInteger) {
        key(name)
        number(value)
    }

    mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        buffer.append(value ? "true" : "false")
    }

    mutating func field(_ name: StaticString, _ value: some StringProtocol) {
        key(name)
        quote(value)
    }

    /// A number; null when it is not finite, which JSON has no number for.
    mutating func field(_ name: StaticString, _ value: Double) {
        key(name)
        number(value)
    }

    /// Null when there is none.
    mutating func field<Value: StringProtocol>(_ name: StaticString, _ value: Value?) {
        if let value { field(name, value) } else { null(name) }
    }

    mutating func field<Value: BinaryInteger>(_ name: StaticString, _ value: Value?) {
        if let value { field(name, value) } else { null(name) }
    }

    mutating func null(_ name: StaticString) {
        key(name)
        buffer.append("null")
    }

    /// Bytes, as hexadecimal digits.
    mutating func hex(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) {
        key(name)
        quoted { $0.append(hex: bytes) }
    }

    /// Bytes, as Base64.
    mutating func base64(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) {
        key(name)
        quoted { $0.append(base64: bytes) }
    }

    /// Bytes that are meant to be UTF-8.
    mutating func text(_ name: StaticString, _ bytes: UnsafeRawBufferPointer) {
        key(name)
        quoted { $0.append(jsonEscaped: bytes) }
    }

    /// A field of a text that needs no escape.
    mutating func text(_ name: StaticString, _ value: StaticString) {
        key(name)
        quoted { $0.append(value) }
    }

    /// A field whose value comes next, as the value of an array would.
    mutating func beginField(_ name: StaticString) {
        key(name)
        needsComma = false
    }

    mutating func object(_ name: StaticString, _ body: (inout JSONLine) -> Void) {
        key(name)
        nest("{", "}", body)
    }

    mutating func array(_ name: StaticString, _ body: (inout JSONLine) -> Void) {
        key(name)
        nest("[", "]", body)
    }

    /// A field whose name is not known here: it is escaped.
    mutating func field(named name: String, _ value: (inout JSONLine) -> Void) {
        separate()
        quote(name)
        buffer.append(0x3A)
        needsComma = false
        value(&self)
        needsComma = true
    }

    // MARK: Values of an array, or of a field that was named

    mutating func value(_ value: some StringProtocol) {
        separate()
        quote(value)
    }

    mutating func value(_ value: some BinaryInteger) {
        separate()
        number(value)
    }

    mutating func value(_ value: Bool) {
        separate()
        buffer.append(value ? "true" : "false")
    }

    mutating func value(_ value: Double) {
        separate()
        number(value)
    }

    mutating func hexValue(_ bytes: UnsafeRawBufferPointer) {
        separate()
        quoted { $0.append(hex: bytes) }
    }

    mutating func textValue(_ bytes: UnsafeRawBufferPointer) {
        separate()
        quoted { $0.append(jsonEscaped: bytes) }
    }

    /// Text that is JSON already.
    mutating func rawValue(_ bytes: UnsafeRawBufferPointer) {
        separate()
        buffer.append(json: bytes)
    }

    mutating func objectValue(_ body: (inout JSONLine) -> Void) {
        separate()
        nest("{", "}", body)
    }

    mutating func arrayValue(_ body: (inout JSONLine) -> Void) {
        separate()
        nest("[", "]", body)
    }

    // MARK: Parts

    private mutating func separate() {
        if needsComma { buffer.append(0x2C) }
        needsComma = true
    }

    private mutating func key(_ name: StaticString) {
        separate()
        buffer.append(0x22)
        buffer.append(name)
        buffer.append("\":")
    }

    private mutating func quote(_ text: some StringProtocol) {
        var text = String(text)
        text.withUTF8 { bytes in quoted { $0.append(jsonEscaped: UnsafeRawBufferPointer(bytes)) } }
    }

    private mutating func quoted(_ body: (inout TextBuffer) -> Void) {
        buffer.append(0x22)
        body(&buffer)
        buffer.append(0x22)
    }

    private mutating func number(_ value: some BinaryInteger) {
        if let value = UInt64(exactly: value) {
            buffer.append(decimal: value)
        } else if let value = Int64(exactly: value) {
            buffer.append(decimal: value)
        } else {
            buffer.append(text: String(value))
        }
    }

    private mutating func number(_ value: Double) {
        if value.isFinite { buffer.append(text: "\(value)") } else { buffer.append("null") }
    }

    private mutating func nest(_ open: StaticString, _ close: StaticString, _ body: (inout JSONLine) -> Void) {
        buffer.append(open)
        needsComma = false
        body(&self)
        buffer.append(close)
        needsComma = true
    }
}
