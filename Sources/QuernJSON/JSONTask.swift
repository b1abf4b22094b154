// SPDX-License-Identifier: Apache-2.0
public import Quern
public import QuernStore

/// A task that is stored as JSON: for people who want to read it, or write it with other programs.
///
/// Properties have names there: a task can be given new optional ones anywhere, and can lose old ones.
///
/// - Complexity: some microseconds to encode or decode, some ten times what the default format takes.
public protocol JSONTask: DurableTask {}

extension JSONTask {
    public func encodePayload(into writer: inout ByteWriter) throws { try JSON.encode(self, into: &writer) }

    public static func decodePayload(_ bytes: RawSpan) throws -> Self { try JSON.decode(Self.self, from: bytes) }
}

/// A memo that is stored as JSON.
///
/// - Complexity: as ``JSONTask``, for each child that is streamed.
public protocol JSONMemo: TaskMemo, Codable {}

extension JSONMemo {
    public func encodeMemo(into writer: inout ByteWriter) throws { try JSON.encode(self, into: &writer) }

    public static func decodeMemo(_ bytes: RawSpan) throws -> Self { try JSON.decode(Self.self, from: bytes) }
}
