// SPDX-License-Identifier: Apache-2.0

/// The error of a child as the scheduler stores it: the length of the reason, the reason, the detail. On a store that
/// something else writes they may be anything.
struct ErrorBytes {
    let reason: UnsafeRawBufferPointer
    let detail: UnsafeRawBufferPointer

    /// Nil when they are something else.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var length = 0
        var start = 0
        repeat {
            guard start < min(bytes.count, 3) else { return nil }
            length |= Int(bytes[start] & 0x7F) << (7 * start)
            start += 1
        } while bytes[start - 1] >= 0x80
        guard length <= bytes.count - start else { return nil }
        reason = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)])
        detail = UnsafeRawBufferPointer(rebasing: bytes[(start + length)...])
    }

    /// "permission denied: /srv/private", for people; other bytes in hexadecimal digits.
    static func append(_ bytes: UnsafeRawBufferPointer, to buffer: inout TextBuffer) {
        guard let error = ErrorBytes(bytes) else { return buffer.append(hex: bytes) }
        buffer.append(printable: error.reason)
        if error.detail.isEmpty { return }
        buffer.append(": ")
        buffer.append(printable: error.detail)
    }

    /// Fields `reason` and `detail`; of other bytes `error_hex`.
    static func append(_ bytes: UnsafeRawBufferPointer, to json: inout JSONLine) {
        guard let error = ErrorBytes(bytes) else { return json.hex("error_hex", bytes) }
        json.text("reason", error.reason)
        json.text("detail", error.detail)
    }
}
