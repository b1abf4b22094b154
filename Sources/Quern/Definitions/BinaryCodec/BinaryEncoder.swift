// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The encoder that a value's `encode(to:)` sees. It has no coding paths: the format has no names.
struct BinaryEncoder: Encoder {
    let storage: BinaryEncoderStorage
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(BinaryKeyedEncoder<Key>(storage: storage))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer { BinaryUnkeyedEncoder(storage: storage) }

    func singleValueContainer() -> any SingleValueEncodingContainer { BinarySingleValueEncoder(storage: storage) }
}

/// Properties one after the other, without their keys.
struct BinaryKeyedEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let storage: BinaryEncoderStorage
    var codingPath: [any CodingKey] { [] }

    private func check() throws {
        guard BinaryCodec.hasFixedKeys(Key.self) else {
            throw storage.unsupported("keys made up at run time; use a dictionary")
        }
    }

    func encodeNil(forKey key: Key) throws { throw storage.unsupported("encodeNil(forKey:); use encodeIfPresent") }

    func encode(_ value: Bool, forKey key: Key) throws { try put(value) }
    func encode(_ value: String, forKey key: Key) throws { try put(value) }
    func encode(_ value: Double, forKey key: Key) throws { try put(value) }
    func encode(_ value: Float, forKey key: Key) throws { try put(value) }
    func encode(_ value: Int, forKey key: Key) throws { try put(value) }
    func encode(_ value: Int8, forKey key: Key) throws { try put(value) }
    func encode(_ value: Int16, forKey key: Key) throws { try put(value) }
    func encode(_ value: Int32, forKey key: Key) throws { try put(value) }
    func encode(_ value: Int64, forKey key: Key) throws { try put(value) }
    func encode(_ value: UInt, forKey key: Key) throws { try put(value) }
    func encode(_ value: UInt8, forKey key: Key) throws { try put(value) }
    func encode(_ value: UInt16, forKey key: Key) throws { try put(value) }
    func encode(_ value: UInt32, forKey key: Key) throws { try put(value) }
    func encode(_ value: UInt64, forKey key: Key) throws { try put(value) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try put(value) }

    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try put(optional: value) }
    func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws { try put(optional: value) }

    @inline(__always)
    private func put<Value: Encodable>(_ value: Value) throws {
        try check()
        try storage.encode(value)
    }

    @inline(__always)
    private func put<Value: Encodable>(optional value: Value?) throws {
        try check()
        storage.append(value != nil)
        if let value { try storage.encode(value) }
    }

    /// The cases of an enumeration: the only place where a key's name is written.
    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        storage.append(key.stringValue)
        return KeyedEncodingContainer(BinaryKeyedEncoder<NestedKey>(storage: storage))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        BinaryUnkeyedEncoder(storage: storage)
    }

    func superEncoder() -> any Encoder { BinaryEncoder(storage: storage) }
    func superEncoder(forKey key: Key) -> any Encoder { BinaryEncoder(storage: storage) }
}

/// A count of four bytes that grows with each element.
struct BinaryUnkeyedEncoder: UnkeyedEncodingContainer {
    let storage: BinaryEncoderStorage
    private let countOffset: Int
    private(set) var count = 0
    var codingPath: [any CodingKey] { [] }

    init(storage: BinaryEncoderStorage) {
        self.storage = storage
        countOffset = storage.writer.count
        storage.writer.append(littleEndian: UInt32(0))
    }

    private mutating func countOne() throws {
        count += 1
        storage.writer.replace(at: countOffset, littleEndian: try BinaryEncoderStorage.checked(count: count))
    }

    mutating func encodeNil() throws { throw storage.unsupported("encodeNil in an array; encode an optional") }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        try countOne()
        let start = storage.writer.count
        try storage.encode(value)
        if storage.writer.count == start { storage.writer.append(0) }
    }

    // A nested container says how long it is by itself; the byte in front keeps an empty structure from taking none.
    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        beginNested()
        return KeyedEncodingContainer(BinaryKeyedEncoder<NestedKey>(storage: storage))
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        beginNested()
        return BinaryUnkeyedEncoder(storage: storage)
    }

    mutating func superEncoder() -> any Encoder {
        beginNested()
        return BinaryEncoder(storage: storage)
    }

    private mutating func beginNested() {
        count += 1
        storage.writer.replace(at: countOffset, littleEndian: UInt32(clamping: count))
        storage.writer.append(1)
    }
}

/// One byte that tells nil from a value, then the value.
struct BinarySingleValueEncoder: SingleValueEncodingContainer {
    let storage: BinaryEncoderStorage
    var codingPath: [any CodingKey] { [] }

    func encodeNil() { storage.append(false) }

    func encode<Value: Encodable>(_ value: Value) throws {
        storage.append(true)
        try storage.encode(value)
    }
}
