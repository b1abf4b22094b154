// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A typed, durable unit of work: what a handler gets, and what outlives the process until it has an outcome.
///
/// ```swift
/// struct ScanDirectory: DurableTask {
///     static let type: TaskType = "dirscan.directory"
///     var path: [UInt8]
///     struct Memo: FixedLayoutMemo { var discovered, skipped, deleted: UInt64 }
/// }
/// ```
///
/// A task is stored with ``BinaryCodec`` unless it says otherwise. That format has no names, only positions: to
/// change a task that may wait in a store, append optional properties at its end, and leave the others alone.
public protocol DurableTask: Codable, Sendable {
    /// What the task leaves for its parent.
    associatedtype Memo: TaskMemo

    /// The name of this kind of task in the store.
    static var type: TaskType { get }

    /// Appends the task's bytes. Implemented with ``BinaryCodec``; write your own for speed or another format.
    ///
    /// - Throws: whatever says that this value cannot be stored. The task is then not spawned.
    func encodePayload(into writer: inout ByteWriter) throws

    /// Reads what ``encodePayload(into:)`` wrote. Must not trap, whatever the bytes are.
    ///
    /// - Throws: when the bytes are no such task. The task then ends as failed.
    static func decodePayload(_ bytes: RawSpan) throws -> Self
}

extension DurableTask {
    public func encodePayload(into writer: inout ByteWriter) throws {
        try BinaryCodec.encode(self, into: &writer)
    }

    public static func decodePayload(_ bytes: RawSpan) throws -> Self {
        try BinaryCodec.decode(Self.self, from: bytes)
    }
}
