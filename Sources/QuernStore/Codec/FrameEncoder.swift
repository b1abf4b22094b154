// SPDX-License-Identifier: Apache-2.0

/// Appends frames of one file to a buffer, each continuing the chain of the one before. It writes nothing to disk.
struct FrameEncoder: Sendable {
    let identity: StoreIdentity
    let segment: UInt32
    /// Where the next frame goes in the file.
    private(set) var position: UInt64
    /// The header checksum that the next frame continues.
    private(set) var checksum: UInt32

    /// Frames `body`, compressed when asked for and where that pays, and returns its header.
    @discardableResult
    mutating func append(
        _ kind: FrameHeader.Kind, body: UnsafeRawBufferPointer, compress: Bool, firstSequence: UInt64 = 0,
        firstID: UInt64 = 0, durableUpTo: UInt64 = 0, scratch: inout ByteWriter, to writer: inout ByteWriter
    ) -> FrameHeader {
        scratch.removeAll()
        let compressed = compress && LZ4.compress(body, into: &scratch)
        var header = FrameHeader(
            kind: kind, codec: compressed ? .lz4 : .raw,
            storedLength: compressed ? scratch.count : body.count, rawLength: body.count,
            firstSequence: firstSequence, firstID: firstID, offset: position, durableUpTo: durableUpTo,
            previousChecksum: checksum, segment: segment)
        let seed = identity.seed
        if compressed {
            scratch.bytes.withUnsafeBytes { header.append(body: $0, seed: seed, to: &writer) }
        } else {
            header.append(body: body, seed: seed, to: &writer)
        }
        position += UInt64(header.totalLength)
        checksum = header.checksum
        return header
    }

    /// Appends only the header of a frame whose body is written apart, uncompressed.
    ///
    /// - Parameter bodyChecksum: of the whole body, seeded with the store's identity.
    mutating func appendHeader(
        _ kind: FrameHeader.Kind, bodyLength: Int, bodyChecksum: UInt32, to writer: inout ByteWriter
    ) {
        var header = FrameHeader(
            kind: kind, codec: .raw, storedLength: bodyLength, rawLength: bodyLength, firstSequence: 0, firstID: 0,
            offset: position, durableUpTo: 0, previousChecksum: checksum, segment: segment)
        header.bodyChecksum = bodyChecksum
        header.appendHeader(seed: identity.seed, to: &writer)
        position += UInt64(header.totalLength)
        checksum = header.checksum
    }
}
