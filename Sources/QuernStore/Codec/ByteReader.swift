// SPDX-License-Identifier: Apache-2.0

/// Bytes that do not follow the format.
struct DecodingFailure: Error, Equatable {
    var reason: String
    init(_ reason: String) { self.reason = reason }
}

/// Reads integers and byte ranges off a buffer that it does not own, and throws where they would pass its end.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var remaining: Int { bytes.count - offset }
    var isAtEnd: Bool { offset >= bytes.count }

    mutating func byte() throws(DecodingFailure) -> UInt8 {
        guard offset < bytes.count else { throw DecodingFailure("ends early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func littleEndian<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type = Integer.self
    ) throws(DecodingFailure) -> Integer {
        guard remaining >= MemoryLayout<Integer>.size else { throw DecodingFailure("ends early") }
        defer { offset += MemoryLayout<Integer>.size }
        return Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }

    /// The inverse of `ByteWriter.append(variable:)`.
    mutating func variable() throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            if shift == 63, next > 1 { throw DecodingFailure("integer too large") }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
            if shift > 63 { throw DecodingFailure("integer too long") }
        }
    }

    /// A variable-length integer that must not exceed `limit`.
    mutating func length(limit: Int) throws(DecodingFailure) -> Int {
        let value = try variable()
        guard value <= UInt64(limit) else { throw DecodingFailure("length \(value) above limit \(limit)") }
        return Int(value)
    }

    /// The next `count` bytes, without a copy.
    mutating func take(_ count: Int) throws(DecodingFailure) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw DecodingFailure("ends early") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }
}
