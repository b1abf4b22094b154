// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A memo that is stored with ``BinaryCodec``: strings, arrays, optionals, enumerations, nested structures.
///
/// The format has no names, only positions: append optional properties at the end, and leave the others alone.
///
/// - Complexity: about 150 ns to encode or decode three integers. ``FixedLayoutMemo`` takes about one.
public protocol CodableMemo: TaskMemo, Codable {}

extension CodableMemo {
    public func encodeMemo(into writer: inout ByteWriter) throws {
        try BinaryCodec.encode(self, into: &writer)
    }

    public static func decodeMemo(_ bytes: RawSpan) throws -> Self {
        try BinaryCodec.decode(Self.self, from: bytes)
    }
}
