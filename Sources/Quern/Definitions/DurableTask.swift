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
/// change a task that may wait in a store, append optional properties at its end, and leave the others alone; or raise
/// ``payloadVersion`` and say in ``migrate(payload:from:)`` how to read what was stored before. Another type that has
/// taken a task's place lists its name in ``aliases``.
public protocol DurableTask: Codable, Sendable {
    /// What the task leaves for its parent.
    associatedtype Memo: TaskMemo

    /// The name of this kind of task in the store.
    static var type: TaskType { get }

    /// The names that this kind of task had before. What waits in the store under one of them runs as a task of this
    /// type, and its outcomes count as this type's. None by default.
    static var aliases: [TaskType] { get }

    /// Says in which form ``encodePayload(into:)`` writes; 0 by default. Raise it with every change of the form that
    /// ``decodePayload(_:)`` cannot read. Tasks of a version above this one, which a newer program has left behind, are
    /// held: see ``TaskScheduler/heldTypes``.
    static var payloadVersion: UInt32 { get }

    /// What holds for tasks of this type unless it is said otherwise where they are spawned. Nothing by default.
    static var options: TaskOptions { get }

    /// Appends the task's bytes. Implemented with ``BinaryCodec``; write your own for speed or another format.
    ///
    /// - Throws: whatever says that this value cannot be stored. The task is then not spawned.
    func encodePayload(into writer: inout ByteWriter) throws

    /// Reads what ``encodePayload(into:)`` wrote. Must not trap, whatever the bytes are.
    ///
    /// - Throws: when the bytes are no such task. The task then ends as failed.
    static func decodePayload(_ bytes: RawSpan) throws -> Self

    /// Reads what an earlier ``payloadVersion`` wrote, under whichever of the type's names. Must not trap, whatever the
    /// bytes are.
    ///
    /// - Throws: when the bytes are no such task, or the version is one that nobody knows any more. The task then ends
    ///   as failed; so it does unless you implement this.
    static func migrate(payload: RawSpan, from version: UInt32) throws -> Self
}

extension DurableTask {
    public static var aliases: [TaskType] { [] }
    public static var payloadVersion: UInt32 { 0 }
    public static var options: TaskOptions { TaskOptions() }

    public static func migrate(payload: RawSpan, from version: UInt32) throws -> Self {
        throw PermanentError(
            reason: "no migration", detail: "a payload of version \(version); this program writes \(payloadVersion)")
    }

    /// Reads a payload of any version up to the present one.
    static func decodePayload(_ bytes: RawSpan, version: UInt32) throws -> Self {
        version == payloadVersion ? try decodePayload(bytes) : try migrate(payload: bytes, from: version)
    }

    public func encodePayload(into writer: inout ByteWriter) throws {
        try BinaryCodec.encode(self, into: &writer)
    }

    public static func decodePayload(_ bytes: RawSpan) throws -> Self {
        try BinaryCodec.decode(Self.self, from: bytes)
    }
}
