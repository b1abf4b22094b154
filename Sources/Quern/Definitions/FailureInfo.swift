// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// Why a task failed, as it is stored: a reason that failures are grouped by, and the detail of this one.
public struct FailureInfo: Sendable, Hashable {
    /// The longest reason and detail, in bytes of UTF-8. Longer ones are cut at a character's border.
    public static let maximumReasonLength = 1 << 10
    public static let maximumDetailLength = 4 << 10

    /// The same for all failures of one kind: "permission denied".
    public var reason: String
    /// What this failure was about: "/srv/private".
    public var detail: String

    public init(reason: String, detail: String = "") {
        self.reason = reason
        self.detail = detail
    }

    /// Describes an error: by its own words when it is a ``DescribedFailure``, else by its type's name and its
    /// description.
    public init(describing error: any Error) {
        if let described = error as? any DescribedFailure {
            self.init(reason: described.failureReason, detail: described.failureDetail)
        } else {
            self.init(reason: String(describing: Swift.type(of: error)), detail: String(describing: error))
        }
    }
}

extension FailureInfo {
    /// Appends the length of the reason, the reason, and the detail up to the end.
    public func encode(into writer: inout ByteWriter) {
        let shortReason = reason.truncated(toUTF8Length: Self.maximumReasonLength)
        writer.append(variable: UInt64(shortReason.utf8.count))
        writer.append(contentsOf: shortReason.utf8)
        writer.append(contentsOf: detail.truncated(toUTF8Length: Self.maximumDetailLength).utf8)
    }

    /// Reads what ``encode(into:)`` wrote. Bytes that are no such thing become a failure that says so: an error
    /// about an error would help nobody.
    public init(decoding bytes: RawSpan) {
        self = bytes.withUnsafeBytes { buffer in
            var length = 0
            var offset = 0
            while offset < buffer.count, offset < 3 {
                let byte = buffer[offset]
                length |= Int(byte & 0x7F) << (7 * offset)
                offset += 1
                if byte < 0x80 { break }
            }
            guard offset > 0, buffer[offset - 1] < 0x80, length <= buffer.count - offset else {
                return buffer.isEmpty
                    ? FailureInfo(reason: "")
                    : FailureInfo(reason: "unreadable error", detail: "\(buffer.count) bytes")
            }
            return FailureInfo(
                reason: String(decoding: buffer[offset..<offset + length], as: UTF8.self),
                detail: String(decoding: buffer[(offset + length)...], as: UTF8.self))
        }
    }

    init(decoding bytes: [UInt8]) { self.init(decoding: bytes.span.bytes) }
}

extension FailureInfo: CustomStringConvertible {
    public var description: String { detail.isEmpty ? reason : "\(reason): \(detail)" }
}

extension String {
    /// The longest prefix of whole characters that takes at most `limit` bytes of UTF-8.
    func truncated(toUTF8Length limit: Int) -> Substring {
        guard utf8.count > limit else { return self[...] }
        var end = utf8.index(startIndex, offsetBy: limit)
        while end > startIndex, end.samePosition(in: self) == nil { end = utf8.index(before: end) }
        return self[..<end]
    }
}
