// SPDX-License-Identifier: Apache-2.0

/// Where a record is in the log.
struct LogPlace: Sendable, Equatable, BitwiseCopyable {
    var segment: UInt32
    var frameOffset: UInt64
    var recordOffset: UInt32
    /// Bytes of what the record holds for later: what its segment is kept for.
    var bytes: UInt32

    init(segment: UInt32, frameOffset: UInt64, recordOffset: UInt32, bytes: Int = 0) {
        self.segment = segment
        self.frameOffset = frameOffset
        self.recordOffset = recordOffset
        self.bytes = UInt32(clamping: bytes)
    }

    init(_ place: LogPlace, bytes: Int) {
        self = place
        self.bytes = UInt32(clamping: bytes)
    }

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: segment)
        writer.append(littleEndian: frameOffset)
        writer.append(littleEndian: recordOffset)
        writer.append(littleEndian: bytes)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        segment = try reader.littleEndian()
        frameOffset = try reader.littleEndian()
        recordOffset = try reader.littleEndian()
        bytes = try reader.littleEndian()
        guard frameOffset <= Limits.fileBytes else { throw DecodingFailure("place of a record") }
    }
}
