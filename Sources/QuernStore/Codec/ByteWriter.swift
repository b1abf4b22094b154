// SPDX-License-Identifier: Apache-2.0

/// Appends integers (little-endian), variable-length integers and bytes to a growing buffer.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8]

    public init() { bytes = [] }
    public init(reservingCapacity capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    @inlinable public var count: Int { bytes.count }

    public mutating func append(_ byte: UInt8) { bytes.append(byte) }

    public mutating func append(contentsOf other: some Sequence<UInt8>) { bytes.append(contentsOf: other) }

    public mutating func append(contentsOf other: UnsafeRawBufferPointer) { bytes.append(contentsOf: other) }

    /// Appends the bytes of a span.
    public mutating func append(_ span: RawSpan) {
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// Appends an integer in little-endian order.
    public mutating func append<Integer: FixedWidthInteger & BitwiseCopyable>(littleEndian value: Integer) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends an unsigned integer in groups of seven bits, lowest first (LEB128): 1 byte up to 127, at most 10.
    public mutating func append(variable value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends `count` zero bytes.
    public mutating func append(zeros count: Int) {
        bytes.append(zeros: count)
    }

    /// Overwrites bytes that were appended before.
    public mutating func replace<Integer: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, littleEndian value: Integer
    ) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Integer.self) }
    }

    /// Appends `count` bytes that `body` fills in. `body` returns how many of them it used.
    mutating func append(upTo count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) {
        bytes.append(addingCapacity: count) { span in
            span.withUnsafeMutableBufferPointer { buffer, used in
                used = body(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
            }
        }
    }

    /// Drops everything behind the first `count` bytes.
    public mutating func truncate(to count: Int) { bytes.removeLast(bytes.count - count) }

    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
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
