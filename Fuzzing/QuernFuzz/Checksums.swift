// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// Makes checksums right, so that what is behind them is reached.
enum Checksums {
    private static func put(_ value: UInt32, at place: Int, in bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(place..<(place + 4), with: $0) }
    }

    private static func load(_ place: Int, in bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: UInt32.self)) }
    }

    static func correct(fileHeader bytes: inout [UInt8]) {
        guard bytes.count >= FileHeader.size else { return }
        bytes.replaceSubrange(..<FileHeader.magic.count, with: FileHeader.magic)
        bytes[9] = FileHeader.version
        let place = FileHeader.size - 4
        put(
            bytes.withUnsafeBytes { Checksum.crc32c(UnsafeRawBufferPointer(rebasing: $0[..<place])) }, at: place,
            in: &bytes)
    }

    /// Corrects a frame that begins at `offset`: magic, place, checksums. Returns its header checksum, and where the
    /// next frame begins when it lies in the bytes.
    ///
    /// - Parameter previous: the header checksum that it is to continue; nil to leave what it says.
    @discardableResult
    static func correct(
        frameIn bytes: inout [UInt8], at offset: Int, seed: UInt32, segment: UInt32, previous: UInt32?
    ) -> (checksum: UInt32, next: Int)? {
        guard offset <= bytes.count - FrameHeader.size else { return nil }
        put(FrameHeader.magic, at: offset, in: &bytes)
        let stored = min(Int(load(offset + 8, in: bytes)), bytes.count - offset - FrameHeader.size)
        withUnsafeBytes(of: UInt64(offset).littleEndian) {
            bytes.replaceSubrange((offset + 32)..<(offset + 40), with: $0)
        }
        if let previous { put(previous, at: offset + 48, in: &bytes) }
        put(segment, at: offset + 52, in: &bytes)
        func checksum(_ start: Int, _ count: Int) -> UInt32 {
            bytes.withUnsafeBytes {
                Checksum.crc32c(UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)]), seed: seed)
            }
        }
        put(checksum(offset + FrameHeader.size, stored), at: offset + 56, in: &bytes)
        let header = checksum(offset, FrameHeader.size - 4)
        put(header, at: offset + FrameHeader.size - 4, in: &bytes)
        return (header, offset + FrameHeader.size + (stored + 7) & ~7)
    }
}
