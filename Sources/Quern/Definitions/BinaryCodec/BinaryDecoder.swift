// SPDX-License-Identifier: Apache-2.0

/// The decoder that a value's `init(from:)` sees.
struct BinaryDecoder: Decoder {
    let storage: BinaryDecoderStorage
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard BinaryCodec.hasFixedKeys(type) else { throw storage.corrupted("keys made up at run time") }
        return KeyedDecodingContainer(BinaryKeyedDecoder<Key>(storage: storage))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try BinaryUnkeyedDecoder(storage: storage) }

    func singleValueContainer() -> any SingleValueDecodingContainer { BinarySingleValueDecoder(storage: storage) }
}

/// Properties in the order of the calls, whatever their keys.
struct BinaryKeyedDecoder<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let storage: BinaryDecoderStorage
    var codingPath: [any CodingKey] { [] }

    /// The name in front of an enumeration's values. Only the compiler's code for enumerations asks for it.
    var allKeys: [Key] {
        let ahead = storage.ahead()
        guard let name = try? ahead.string(), let key = Key(stringValue: name) else { return [] }
        return [key]
    }

    /// A format without names cannot tell; the calls for optional properties do not ask.
    func contains(_ key: Key) -> Bool { true }

    func decodeNil(forKey key: Key) throws -> Bool {
        throw storage.corrupted("decodeNil(forKey:) has no place in this format; use decodeIfPresent")
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try storage.flag() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try storage.string() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try storage.decode(type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try storage.decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try storage.signed(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try storage.decode(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try storage.signed(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try storage.signed(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try storage.signed(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try storage.unsigned(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try storage.byte() }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try storage.unsigned(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try storage.unsigned(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try storage.variable() }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try storage.decode(type) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(type) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(type) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(type) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try optional(type) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(type) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try optional(type) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try optional(type) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(type) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(type) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try optional(type) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try optional(type) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try optional(type) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try optional(type) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(type) }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try optional(type)
    }

    /// Nil also at the end of all bytes: the property was added after they were written.
    @inline(__always)
    private func optional<Value: Decodable>(_ type: Value.Type) throws -> Value? {
        guard storage.remaining > 0, try storage.flag() else { return nil }
        return try storage.decode(type)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let name = try storage.string()
        guard name == key.stringValue else {
            throw storage.corrupted("\"\(name)\" where \"\(key.stringValue)\" belongs")
        }
        return try BinaryDecoder(storage: storage).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try BinaryUnkeyedDecoder(storage: storage)
    }

    func superDecoder() -> any Decoder { BinaryDecoder(storage: storage) }
    func superDecoder(forKey key: Key) -> any Decoder { BinaryDecoder(storage: storage) }
}

/// As many elements as the count in front says.
struct BinaryUnkeyedDecoder: UnkeyedDecodingContainer {
    let storage: BinaryDecoderStorage
    let count: Int?
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    var isAtEnd: Bool { currentIndex >= count ?? 0 }

    init(storage: BinaryDecoderStorage) throws {
        self.storage = storage
        count = try storage.count()
    }

    private mutating func advance() throws {
        guard !isAtEnd else { throw storage.corrupted("all \(currentIndex) elements are read") }
        currentIndex += 1
    }

    mutating func decodeNil() -> Bool { false }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try advance()
        return try storage.element { try storage.decode(type) }
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try beginNested()
        return try BinaryDecoder(storage: storage).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try beginNested()
        return try BinaryUnkeyedDecoder(storage: storage)
    }

    mutating func superDecoder() throws -> any Decoder {
        try beginNested()
        return BinaryDecoder(storage: storage)
    }

    private mutating func beginNested() throws {
        try advance()
        guard try storage.flag() else { throw storage.corrupted("a nested container is missing") }
    }
}

/// One byte that tells nil from a value, then the value.
struct BinarySingleValueDecoder: SingleValueDecodingContainer {
    let storage: BinaryDecoderStorage
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { storage.skipNil() }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard try storage.flag() else { throw storage.corrupted("nil where a value belongs") }
        return try storage.decode(type)
    }
}
