// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A task of a few numbers, stored as it lies in memory.
///
/// ```swift
/// struct Tile: FixedLayoutTask {
///     static let type: TaskType = "map.tile"
///     var x, y: UInt32
///     var zoom: UInt32
/// }
/// ```
///
/// What ``FixedLayoutMemo`` says of layouts holds here too. To change one, raise ``DurableTask/payloadVersion``.
///
/// - Complexity: encode and decode copy `MemoryLayout<Self>.size` bytes.
public protocol FixedLayoutTask: DurableTask, BitwiseCopyable {}

extension FixedLayoutTask {
    @inlinable
    public func encodePayload(into writer: inout ByteWriter) {
        withUnsafeBytes(of: self) { writer.append(contentsOf: $0) }
    }

    @inlinable
    public static func decodePayload(_ bytes: RawSpan) throws -> Self { try FixedLayoutError.load(bytes) }
}
