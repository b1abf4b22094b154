// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// A file of a store taken apart, to be changed and put together again with checksums that are right.
struct ForgedFile {
    struct Frame {
        var header: FrameHeader
        /// Decoded.
        var body: [UInt8]
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
                frames.append(Frame(header: frame, body: body))
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
        var compressed = ByteWriter()
        var checksum = header.kind == .log ? header.previousChecksum : 0
        for frame in frames {
            compressed.removeAll()
            let isCompressed =
                frame.header.codec == .lz4 && frame.body.withUnsafeBytes { LZ4.compress($0, into: &compressed) }
            var header = frame.header
            header.codec = isCompressed ? .lz4 : .raw
            header.rawLength = frame.body.count
            header.storedLength = isCompressed ? compressed.count : frame.body.count
            header.offset = UInt64(writer.count)
            header.previousChecksum = checksum
            header.segment = UInt32(truncatingIfNeeded: self.header.number)
            (isCompressed ? compressed.bytes : frame.body).withUnsafeBytes {
                header.append(body: $0, seed: self.header.identity.seed, to: &writer)
            }
            checksum = header.checksum
        }
        return (writer.bytes + rest, checksum, writer.count)
    }
}
