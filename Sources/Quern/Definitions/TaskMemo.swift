// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// The value a task leaves for its parent, which streams it in `finalize`.
///
/// Choose by what the memo is:
/// - ``FixedLayoutMemo`` for a few numbers: read in place, without a copy or an allocation per child.
/// - ``CodableMemo`` for everything `Codable`.
/// - ``NoMemo`` for nothing.
///
/// Conform directly to use a format of your own.
public protocol TaskMemo: Sendable {
    /// Appends the memo's bytes.
    ///
    /// - Throws: when the memo cannot be stored; the task then fails for good (T13).
    func encodeMemo(into writer: inout ByteWriter) throws

    /// Reads what ``encodeMemo(into:)`` wrote. Must not trap, whatever the bytes are.
    ///
    /// - Throws: when the bytes are no such memo; the stream then shows one error item and goes on (T13).
    static func decodeMemo(_ bytes: RawSpan) throws -> Self

    /// Appends all memos of a block whose completed children have memos of one length: see ``ChildBlock/completed``.
    ///
    /// A short cut for layouts that can be copied as they are; the default does nothing.
    ///
    /// - Returns: whether it appended them. When false, the memos are decoded one by one.
    static func decodeUniform(_ block: ChildBlock, into memos: inout [Self]) -> Bool
}

extension TaskMemo {
    @inlinable
    public static func decodeUniform(_ block: ChildBlock, into memos: inout [Self]) -> Bool { false }
}
