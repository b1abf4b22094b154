// SPDX-License-Identifier: Apache-2.0

/// The bytes that all containers of one decoding read from, front to back.
final class BinaryDecoderStorage {
    /// Empty once the decoding is over, so that a decoder that escaped finds nothing.
    private var bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func invalidate() {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        offset = 0
    }

    var remaining: Int { bytes.count - offset }

    /// A reader of the bytes that are left, which does not move this one.
    func ahead() -> BinaryDecoderStorage {
        BinaryDecoderStorage(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
    }

    func corrupted(_ what: String) -> DecodingError {
        .dataCorrupted(DecodingError.Context(codingPath: [], debugDescription: "at byte \(offset): \(what)"))
    }

    func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count <= remaining else { throw corrupted("\(count) bytes are needed and \(remaining) left") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    func byte() throws -> UInt8 {
        guard offset < bytes.count else { throw corrupted("the bytes end too early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    /// Whether the next byte says nil; if so, it is skipped.
    func skipNil() -> Bool {
        guard offset < bytes.count, bytes[offset] == 0 else { return false }
        offset += 1
        return true
    }

    func flag() throws -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        case let other: throw corrupted("\(other) is neither true nor false")
        }
    }

    func variable() throws -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: 0 as UInt64, through: 63, by: 7) {
            let next = try byte()
            if shift == 63, next > 1 { break }
            result |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return result }
        }
        throw corrupted("an integer of more than 64 bits")
    }

    func unsigned<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type) throws -> Value {
        let wide = try variable()
        guard let value = Value(exactly: wide) else { throw corrupted("\(wide) is too large for \(type)") }
        return value
    }

    func signed<Value: FixedWidthInteger & SignedInteger>(_ type: Value.Type) throws -> Value {
        let folded = try variable()
        let wide = Int64(bitPattern: (folded >> 1) ^ (0 &- (folded & 1)))
        guard let value = Value(exactly: wide) else { throw corrupted("\(wide) is too large for \(type)") }
        return value
    }

    func fixed<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) throws -> Value {
        Value(littleEndian: try take(MemoryLayout<Value>.size).loadUnaligned(as: type))
    }

    func lengthPrefixed() throws -> UnsafeRawBufferPointer {
        let length = try variable()
        guard length <= UInt64(remaining) else {
            throw corrupted("\(length) bytes are needed and \(remaining) left")
        }
        return try take(Int(length))
    }

    func string() throws -> String {
        guard let text = String(validating: try lengthPrefixed(), as: UTF8.self) else {
            throw corrupted("text that is not UTF-8")
        }
        return text
    }

    /// A count of elements, each of which takes at least one byte.
    func count() throws -> Int {
        let count = Int(try fixed(UInt32.self))
        guard count <= remaining else { throw corrupted("\(count) elements in \(remaining) bytes") }
        return count
    }

    /// What `decode` reads; the filling byte of an element that has none is skipped.
    func element<Value>(_ decode: () throws -> Value) throws -> Value {
        let start = offset
        let value = try decode()
        if offset == start, try byte() != 0 { throw corrupted("an element that should be empty") }
        return value
    }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == [UInt8].self { return unsafeBitCast([UInt8](try lengthPrefixed()), to: type) }
        if type == String.self { return unsafeBitCast(try string(), to: type) }
        if type == Int.self { return unsafeBitCast(try signed(Int.self), to: type) }
        if type == UInt64.self { return unsafeBitCast(try variable(), to: type) }
        if type == Int64.self { return unsafeBitCast(try signed(Int64.self), to: type) }
        if type == UInt8.self { return unsafeBitCast(try byte(), to: type) }
        if type == Bool.self { return unsafeBitCast(try flag(), to: type) }
        if type == Double.self { return unsafeBitCast(Double(bitPattern: try fixed(UInt64.self)), to: type) }
        if type == Float.self { return unsafeBitCast(Float(bitPattern: try fixed(UInt32.self)), to: type) }
        if type == UInt.self { return unsafeBitCast(try unsigned(UInt.self), to: type) }
        if type == UInt32.self { return unsafeBitCast(try unsigned(UInt32.self), to: type) }
        if type == UInt16.self { return unsafeBitCast(try unsigned(UInt16.self), to: type) }
        if type == Int32.self { return unsafeBitCast(try signed(Int32.self), to: type) }
        if type == Int16.self { return unsafeBitCast(try signed(Int16.self), to: type) }
        if type == Int8.self { return unsafeBitCast(Int8(bitPattern: try byte()), to: type) }
        guard depth < BinaryCodec.maximumDepth else {
            throw corrupted("values nested deeper than \(BinaryCodec.maximumDepth)")
        }
        depth += 1
        defer { depth -= 1 }
        if type is any UnorderedDecodable.Type { return try decodeUnordered(type) }
        return try type.init(from: BinaryDecoder(storage: self))
    }

    /// Apart, so that the common path does not look up the metadata of an optional.
    @inline(never)
    private func decodeUnordered<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard let unordered = type as? any UnorderedDecodable.Type,
            let value = try unordered.decodeSorted(from: self) as? Value
        else { throw corrupted("\(type) cannot be decoded") }
        return value
    }
}

/// The reading side of ``UnorderedEncodable``.
protocol UnorderedDecodable {
    static func decodeSorted(from storage: BinaryDecoderStorage) throws -> Self
}

extension Dictionary: UnorderedDecodable where Key: Decodable, Value: Decodable {
    static func decodeSorted(from storage: BinaryDecoderStorage) throws -> Self {
        var result: Self = [:]
        for _ in 0..<(try storage.count()) {
            let (key, value) = try storage.element { (try storage.decode(Key.self), try storage.decode(Value.self)) }
            guard result.updateValue(value, forKey: key) == nil else { throw storage.corrupted("a key twice") }
        }
        return result
    }
}

extension Set: UnorderedDecodable where Element: Decodable {
    static func decodeSorted(from storage: BinaryDecoderStorage) throws -> Self {
        var result: Self = []
        for _ in 0..<(try storage.count()) {
            let element = try storage.element { try storage.decode(Element.self) }
            guard result.insert(element).inserted else { throw storage.corrupted("an element twice") }
        }
        return result
    }
}
