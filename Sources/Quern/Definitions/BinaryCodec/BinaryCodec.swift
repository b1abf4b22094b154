// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A small, fast format for `Codable` values: values one after the other, in the order in which the type encodes
/// them, without names.
///
/// | value | bytes |
/// |---|---|
/// | `Bool`, `Int8`, `UInt8` | 1 |
/// | unsigned integers | groups of seven bits, lowest first: 1 byte up to 127, at most 10 |
/// | signed integers | the same, after zigzag: 0, -1, 1, -2 become 0, 1, 2, 3 |
/// | `Float`, `Double` | 4 or 8, little-endian |
/// | `String`, `[UInt8]` | length as an unsigned integer, then the bytes |
/// | optional property | 1 byte, 0 or 1, then the value |
/// | single-value container | 1 byte, 0 for nil or 1, then the value |
/// | unkeyed container | 4 bytes count, then the elements; one of no bytes takes one zero byte |
/// | dictionary, set | 4 bytes count, then the entries, sorted by their bytes |
/// | enumeration with associated values | the case's name as a string, then the values |
///
/// The same value always gives the same bytes. Bytes from anywhere can be decoded: they give a value or a
/// `DecodingError`, never a trap, and memory is taken in proportion to the bytes there are.
///
/// What has no place in a format without names throws: keys that are made up at run time (use a dictionary), and
/// `encodeNil(forKey:)` (use `encodeIfPresent`). Properties must be decoded in the order in which they were
/// encoded, as the compiler's own conformances do. Optional properties that were added at the end of a type read as
/// nil from bytes that were written before.
public enum BinaryCodec {
    /// How deep values may be nested.
    public static let maximumDepth = 64

    /// Appends a value's bytes. When it throws, nothing was appended.
    ///
    /// - Throws: `EncodingError`, or what the value's own `encode(to:)` throws.
    public static func encode<Value: Encodable>(_ value: Value, into writer: inout ByteWriter) throws {
        let start = writer.count
        let storage = BinaryEncoderStorage(writer: writer)
        writer = ByteWriter()
        defer { writer = storage.takeWriter() }
        do { try storage.encode(value) } catch {
            storage.writer.truncate(to: start)
            throw error
        }
    }

    /// Reads a value from all of the bytes.
    ///
    /// - Throws: `DecodingError`, also when bytes are left over, or what the value's own `init(from:)` throws.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: RawSpan) throws -> Value {
        try bytes.withUnsafeBytes { buffer in
            let storage = BinaryDecoderStorage(buffer)
            defer { storage.invalidate() }
            let value = try storage.decode(type)
            guard storage.remaining == 0 else {
                throw storage.corrupted("\(storage.remaining) bytes are left over")
            }
            return value
        }
    }

    /// - SeeAlso: ``decode(_:from:)-swift.type.method``
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try decode(type, from: bytes.span.bytes)
    }

    /// Whether keys of this type are fixed when the program is compiled: the compiler's own are enumerations without
    /// payload, of one or two bytes; keys made up at run time hold a string.
    static func hasFixedKeys<Key: CodingKey>(_ type: Key.Type) -> Bool { MemoryLayout<Key>.size <= 2 }
}
