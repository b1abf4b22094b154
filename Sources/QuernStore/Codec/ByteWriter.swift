// SPDX-License-Identifier: Apache-2.0

/// Appends integers (little-endian), variable-length integers and bytes to a growing buffer.
///
/// Memos and payloads are encoded through it from other modules, field by field: what appends little can be inlined.
public struct ByteWriter: Sendable {
    @usableFromInline var storage: [UInt8]

    /// What was appended.
    @inlinable public var bytes: [UInt8] { storage }

    /// An empty buffer.
    @inlinable public init() { storage = [] }
    /// An empty buffer with room for `capacity` bytes.
    @inlinable public init(reservingCapacity capacity: Int) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    /// Bytes appended. O(1).
    @inlinable public var count: Int { storage.count }

    /// Appends a byte.
    @inlinable public mutating func append(_ byte: UInt8) { storage.append(byte) }

    /// Appends bytes.
    @inlinable public mutating func append(contentsOf other: some Sequence<UInt8>) {
        storage.append(contentsOf: other)
    }

    /// Appends a copy of bytes.
    public mutating func append(contentsOf other: UnsafeRawBufferPointer) { storage.append(contentsOf: other) }

    /// Appends the bytes of a span.
    public mutating func append(_ span: RawSpan) {
        span.withUnsafeBytes { storage.append(contentsOf: $0) }
    }

    /// Appends an integer in little-endian order.
    @inlinable public mutating func append<Integer: FixedWidthInteger & BitwiseCopyable>(
        littleEndian value: Integer
    ) {
        append(upTo: MemoryLayout<Integer>.size) { target in
            target.storeBytes(of: value.littleEndian, as: Integer.self)
            return MemoryLayout<Integer>.size
        }
    }

    /// Appends an unsigned integer in groups of seven bits, lowest first (LEB128): 1 byte up to 127, at most 10.
    @inlinable public mutating func append(variable value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            storage.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        storage.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends `count` zero bytes.
    public mutating func append(zeros count: Int) {
        storage.append(zeros: count)
    }

    /// Overwrites bytes that were appended before.
    package mutating func replace<Integer: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, littleEndian value: Integer
    ) {
        storage.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Integer.self) }
    }

    /// Appends `count` bytes that `body` fills in. `body` returns how many of them it used.
    @inlinable mutating func append(upTo count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) {
        storage.append(addingCapacity: count) { span in
            span.withUnsafeMutableBufferPointer { buffer, used in
                used = body(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
            }
        }
    }

    /// Drops everything behind the first `count` bytes.
    package mutating func truncate(to count: Int) { storage.removeLast(storage.count - count) }

    /// Drops everything and keeps the memory.
    mutating func removeAll() { storage.removeAll(keepingCapacity: true) }
}

extension [UInt8] {
    /// Appends `count` zero bytes at once, in debug builds too.
    mutating func append(zeros count: Int) {
        append(addingCapacity: count) { span in
            span.withUnsafeMutableBufferPointer { buffer, used in
                buffer.extracting(..<count).initialize(repeating: 0)
                used = count
            }
        }
    }
}
