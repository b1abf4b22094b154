// SPDX-License-Identifier: Apache-2.0
public import QuernStore

#if _endian(big)
    #error("Memos of a fixed layout are stored as they lie in memory, little-endian; this platform is not.")
#endif

/// A memo of a few numbers, stored as it lies in memory and read in place.
///
/// ```swift
/// struct Memo: FixedLayoutMemo { var discovered, skipped, deleted: UInt64 }
/// ```
///
/// All its stored properties must be integers, floating-point numbers or such layouts themselves: types for which
/// every bit pattern is a value. `Bool` and enumerations are not. Declare them from wide to narrow, so that the
/// layout has no padding; bytes of padding would be stored with whatever they hold. Its layout must never change
/// while a store holds such memos.
///
/// - Complexity: encode and decode copy `MemoryLayout<Self>.size` bytes. Blocks of equal children are copied whole.
public protocol FixedLayoutMemo: TaskMemo, BitwiseCopyable {}

extension FixedLayoutMemo {
    @inlinable
    public func encodeMemo(into writer: inout ByteWriter) {
        withUnsafeBytes(of: self) { writer.append(contentsOf: $0) }
    }

    @inlinable
    public static func decodeMemo(_ bytes: RawSpan) throws -> Self { try FixedLayoutError.load(bytes) }

    @inlinable
    public static func decodeUniform(_ block: ChildBlock, into memos: inout [Self]) -> Bool {
        guard block.completed?.memoLength == MemoryLayout<Self>.size else { return false }
        block.withMemos(as: Self.self) { span in
            span.withUnsafeBufferPointer { memos.append(contentsOf: $0) }
        }
        return true
    }
}

/// Stored bytes do not have the length of the layout that they are read as.
public struct FixedLayoutError: Error, Sendable, Equatable {
    public var expected: Int
    public var found: Int

    public init(expected: Int, found: Int) {
        self.expected = expected
        self.found = found
    }

    @inlinable
    static func load<Layout: BitwiseCopyable>(_ bytes: RawSpan) throws -> Layout {
        guard bytes.byteCount == MemoryLayout<Layout>.size else {
            throw FixedLayoutError(expected: MemoryLayout<Layout>.size, found: bytes.byteCount)
        }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: Layout.self) }
    }
}

extension FixedLayoutError: CustomStringConvertible {
    public var description: String { "\(found) bytes where \(expected) belong" }
}
