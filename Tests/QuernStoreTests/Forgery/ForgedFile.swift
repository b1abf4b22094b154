// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// A file of a store taken apart, to be changed and put together again with checksums that are right.
struct ForgedFile {
    struct Frame {
        var header: FrameHeader
        /// Decoded.
        var body: [UInt8]
        /// What it was, and how that was stored: another version of liblz4 might make other bytes of it.
        private let original: (body: [UInt8], stored: [UInt8], codec: FrameHeader.Codec)

        fileprivate init(_ header: FrameHeader, body: [UInt8], stored: [UInt8]) {
            self.header = header
            self.body = body
            original = (body, stored, header.codec)
        }

        fileprivate func stored() -> (bytes: [UInt8], codec: FrameHeader.Codec) {
            if body == original.body { return (original.stored, original.codec) }
            var compressed = ByteWriter()
            let isCompressed =
                original.codec == .lz4 && body.withUnsafeBytes { LZ4.compress($0, into: &compressed) }
            return isCompressed ? (compressed.bytes, .lz4) : (body, .raw)
        }
    }

    /// In the store's directory.
    var name: String
    var header: FileHeader
    var frames: [Frame] = []
    /// What is behind the last frame.
    var rest: [UInt8] = []

    /// Nil for what has no file header.
    init?(_ name: String, _ bytes: [UInt8]) {
        guard let header = try? bytes.withUnsafeBytesThrowing({ (bytes) throws in try FileHeader(bytes) }) else {
            return nil
        }
        self.name = name
        self.header = header
        var offset = FileHeader.size
        bytes.withUnsafeBytes { bytes in
            let (segment, seed) = (UInt32(truncatingIfNeeded: header.number), header.identity.seed)
            while let frame = FrameHeader(bytes, at: offset, segment: segment, seed: seed),
                let stored = frame.body(in: bytes, seed: seed), let body = try? frame.decoded(stored)
            {
                frames.append(Frame(frame, body: body, stored: Array(stored)))
                offset += frame.totalLength
            }
        }
        rest = Array(bytes[min(offset, bytes.count)...])
    }

    /// The whole file, the header checksum of its last frame, and where that ends. Each frame says where it is now, and
    /// continues the one before.
    func encoded() -> (bytes: [UInt8], checksum: UInt32, end: Int) {
        var writer = ByteWriter()
        writer.append(contentsOf: header.encoded())
        var checksum = header.kind == .log ? header.previousChecksum : 0
        for frame in frames {
            let stored = frame.stored()
            var header = frame.header
            header.codec = stored.codec
            header.rawLength = frame.body.count
            header.storedLength = stored.bytes.count
            header.offset = UInt64(writer.count)
            header.previousChecksum = checksum
            header.segment = UInt32(truncatingIfNeeded: self.header.number)
            stored.bytes.withUnsafeBytes { header.append(body: $0, seed: self.header.identity.seed, to: &writer) }
            checksum = header.checksum
        }
        return (writer.bytes + rest, checksum, writer.count)
    }
}
