// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The bytes that all containers of one encoding append to.
final class BinaryEncoderStorage {
    var writer: ByteWriter
    private var depth = 0

    init(writer: consuming ByteWriter) { self.writer = writer }

    func takeWriter() -> ByteWriter {
        let taken = writer
        writer = ByteWriter()
        return taken
    }

    func append(_ text: String) {
        var text = text
        text.withUTF8 {
            writer.append(variable: UInt64($0.count))
            writer.append(contentsOf: UnsafeRawBufferPointer($0))
        }
    }

    func append(_ bytes: [UInt8]) {
        writer.append(variable: UInt64(bytes.count))
        bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
    }

    func append(unsigned value: some UnsignedInteger) { writer.append(variable: UInt64(value)) }

    func append(signed value: some SignedInteger) {
        let wide = Int64(value)
        writer.append(variable: UInt64(bitPattern: (wide << 1) ^ (wide >> 63)))
    }

    func append(_ value: Bool) { writer.append(value ? 1 : 0) }

    /// A value of any type: the common ones without a detour through containers, so that the compiler's calls for
    /// `Array<Int>` and for an `Int` property give the same bytes.
    func encode<Value: Encodable>(_ value: Value) throws {
        if Value.self == [UInt8].self { return append(unsafeBitCast(value, to: [UInt8].self)) }
        if Value.self == String.self { return append(unsafeBitCast(value, to: String.self)) }
        if Value.self == Int.self { return append(signed: unsafeBitCast(value, to: Int.self)) }
        if Value.self == UInt64.self { return append(unsigned: unsafeBitCast(value, to: UInt64.self)) }
        if Value.self == Int64.self { return append(signed: unsafeBitCast(value, to: Int64.self)) }
        if Value.self == UInt8.self { return writer.append(unsafeBitCast(value, to: UInt8.self)) }
        if Value.self == Bool.self { return append(unsafeBitCast(value, to: Bool.self)) }
        if Value.self == Double.self {
            return writer.append(littleEndian: unsafeBitCast(value, to: Double.self).bitPattern)
        }
        if Value.self == Float.self {
            return writer.append(littleEndian: unsafeBitCast(value, to: Float.self).bitPattern)
        }
        if Value.self == UInt.self { return append(unsigned: unsafeBitCast(value, to: UInt.self)) }
        if Value.self == UInt32.self { return append(unsigned: unsafeBitCast(value, to: UInt32.self)) }
        if Value.self == UInt16.self { return append(unsigned: unsafeBitCast(value, to: UInt16.self)) }
        if Value.self == Int32.self { return append(signed: unsafeBitCast(value, to: Int32.self)) }
        if Value.self == Int16.self { return append(signed: unsafeBitCast(value, to: Int16.self)) }
        if Value.self == Int8.self {
            return writer.append(UInt8(bitPattern: unsafeBitCast(value, to: Int8.self)))
        }
        guard depth < BinaryCodec.maximumDepth else {
            throw unsupported("values nested deeper than \(BinaryCodec.maximumDepth)")
        }
        depth += 1
        defer { depth -= 1 }
        if Value.self is any UnorderedEncodable.Type, let unordered = value as? any UnorderedEncodable {
            try unordered.encodeSorted(into: self)
        } else {
            try value.encode(to: BinaryEncoder(storage: self))
        }
    }

    func unsupported(_ what: String) -> EncodingError {
        EncodingError.invalidValue(
            what, EncodingError.Context(codingPath: [], debugDescription: "BinaryCodec cannot encode \(what)"))
    }
}

/// Collections whose order changes from run to run.
protocol UnorderedEncodable {
    func encodeSorted(into storage: BinaryEncoderStorage) throws
}

extension Dictionary: UnorderedEncodable where Key: Encodable, Value: Encodable {
    func encodeSorted(into storage: BinaryEncoderStorage) throws {
        try storage.encodeSorted(self) { entry, storage in
            try storage.encode(entry.key)
            try storage.encode(entry.value)
        }
    }
}

extension Set: UnorderedEncodable where Element: Encodable {
    func encodeSorted(into storage: BinaryEncoderStorage) throws {
        try storage.encodeSorted(self) { element, storage in try storage.encode(element) }
    }
}

extension BinaryEncoderStorage {
    /// The count, then what `encode` appends for each element, sorted by those bytes. An element of no bytes takes
    /// one, so that no count is larger than the bytes behind it.
    func encodeSorted<Elements: Collection>(
        _ elements: Elements, encode: (Elements.Element, BinaryEncoderStorage) throws -> Void
    ) throws {
        writer.append(littleEndian: try Self.checked(count: elements.count))
        let start = writer.count
        var pieces: [ArraySlice<UInt8>] = []
        pieces.reserveCapacity(elements.count)
        for element in elements {
            let begin = writer.count
            try encode(element, self)
            if writer.count == begin { writer.append(0) }
            pieces.append(ArraySlice(Array(writer.bytes[begin...])))
        }
        writer.truncate(to: start)
        pieces.sort { $0.lexicographicallyPrecedes($1) }
        for piece in pieces { writer.append(contentsOf: piece) }
    }

    static func checked(count: Int) throws -> UInt32 {
        guard let count = UInt32(exactly: count) else {
            throw EncodingError.invalidValue(
                count, EncodingError.Context(codingPath: [], debugDescription: "more than 4,294,967,295 elements"))
        }
        return count
    }
}
