// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// The memo of a task that leaves nothing: zero bytes. Its outcome is listed all the same (T2).
public struct NoMemo: TaskMemo, Equatable {
    public init() {}

    public func encodeMemo(into writer: inout ByteWriter) {}

    /// Ignores the bytes, so that a type may stop leaving a memo.
    public static func decodeMemo(_ bytes: RawSpan) -> NoMemo { NoMemo() }
}
