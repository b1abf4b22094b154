// SPDX-License-Identifier: Apache-2.0

/// The frames of a checkpoint or its mirror that is whole, read one by one: its memory is that of a frame.
struct CheckpointFrames {
    enum Failure: Error {
        case file(FileError)
        /// Something that is not as it was written, and where.
        case damaged(String, at: Int)
    }

    /// The length of the file, in bytes.
    let size: Int
    /// The low bits of the checkpoint's number.
    let segment: UInt32
    let seed: UInt32
    /// Reads so many bytes from an offset on; fewer where the file ends. Not mapped: where a disk cannot read its own
    /// sectors, that is an error and not the end of the process.
    let read: (_ count: Int, _ offset: Int) throws(FileError) -> [UInt8]

    /// Calls `body` with the decoded body of each frame.
    ///
    /// - Parameter checksum: the header checksum that the last frame must have.
    func forEach(
        checksum: UInt32?, _ body: (UnsafeRawBufferPointer) throws(DecodingFailure) -> Void
    ) throws(Failure) {
        var offset = FileHeader.size
        var previous: UInt32 = 0
        var isCommitted = false
        while !isCommitted {
            guard let frame = try header(at: offset), frame.previousChecksum == previous,
                frame.kind == .state || frame.kind == .commit
            else { throw .damaged("no valid frame at byte \(offset)", at: offset) }
            let stored = try bytes(frame.storedLength, at: offset + FrameHeader.size)
            do throws(DecodingFailure) {
                try stored.withUnsafeBytesThrowing { (stored) throws(DecodingFailure) in
                    guard stored.count == frame.storedLength, Checksum.crc32c(stored, seed: seed) == frame.bodyChecksum
                    else { throw DecodingFailure("wrong checksum of a frame's body") }
                    try frame.decoded(stored).withUnsafeBytesThrowing(body)
                }
            } catch { throw .damaged(error.reason, at: offset) }
            previous = frame.checksum
            offset += frame.totalLength
            isCommitted = frame.kind == .commit
        }
        if offset != size { throw .damaged("does not end with its last frame", at: min(offset, size)) }
        guard checksum == nil || checksum == previous else {
            throw .damaged("not the checkpoint that the manifest names", at: FileHeader.size)
        }
    }

    private func header(at offset: Int) throws(Failure) -> FrameHeader? {
        let bytes = try bytes(FrameHeader.size, at: offset)
        return bytes.withUnsafeBytes {
            FrameHeader(detached: $0, offset: UInt64(offset), segment: segment, seed: seed)
        }
    }

    private func bytes(_ count: Int, at offset: Int) throws(Failure) -> [UInt8] {
        // Nothing is taken by a length that the file does not have.
        guard count <= size - offset else { return [] }
        do throws(FileError) { return try read(count, offset) } catch { throw .file(error) }
    }
}
