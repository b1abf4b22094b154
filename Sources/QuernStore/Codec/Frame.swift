// SPDX-License-Identifier: Apache-2.0

/// The envelope of everything behind a file header: 64 bytes that say what follows and where it belongs, then the body,
/// then zeros up to a multiple of eight (S5, F6 to F10).
///
/// One checksum covers all other header bytes, one the stored body. Both are seeded with the store's identity.
struct FrameHeader: Equatable, Sendable {
    enum Kind: UInt8, Sendable {
        /// Log: records that are visible with this frame.
        case commit = 1
        /// Log: records that are visible with the next commit frame.
        case part = 2
        /// Index: children of one parent.
        case block = 3
        /// Index: the sorted directory that seals a segment.
        case directory = 4
        /// Checkpoint: records of the live state. The last frame is a commit frame.
        case state = 5
        /// Manifest.
        case manifest = 6
        /// Index: small blocks of several parents, back to back.
        case sharedBlocks = 7
    }

    enum Codec: UInt8, Sendable {
        case raw = 0
        case lz4 = 1
    }

    static let size = 64
    static let magic: UInt32 = 0x1A52_4651  // "QFR" and 0x1A

    var kind: Kind
    var codec: Codec
    var storedLength: Int
    var rawLength: Int
    /// The next outcome's sequence before this frame; in a block, its first child's; 0 in shared blocks.
    var firstSequence: UInt64
    /// The next task's id before this frame; in a block, the parent; 0 in shared blocks.
    var firstID: UInt64
    /// Its own place in the file.
    var offset: UInt64
    /// How far this file was known to be on disk when the frame was written.
    var durableUpTo: UInt64
    /// The header checksum of the frame before.
    var previousChecksum: UInt32
    var segment: UInt32
    var bodyChecksum: UInt32 = 0
    var checksum: UInt32 = 0

    /// The length with body and padding.
    var totalLength: Int { Self.size + (storedLength + 7) & ~7 }

    /// Appends header, body and padding; sets the checksums.
    mutating func append(body: UnsafeRawBufferPointer, seed: UInt32, to writer: inout ByteWriter) {
        assert(body.count == storedLength)
        bodyChecksum = Checksum.crc32c(body, seed: seed)
        appendHeader(seed: seed, to: &writer)
        writer.append(contentsOf: body)
        writer.append(zeros: (8 - storedLength & 7) & 7)
    }

    /// Appends the header alone, of a body whose checksum is set; sets its own checksum.
    mutating func appendHeader(seed: UInt32, to writer: inout ByteWriter) {
        let start = writer.count
        writer.append(littleEndian: Self.magic)
        writer.append(kind.rawValue)
        writer.append(codec.rawValue)
        writer.append(zeros: 2)
        writer.append(littleEndian: UInt32(storedLength))
        writer.append(littleEndian: UInt32(rawLength))
        writer.append(littleEndian: firstSequence)
        writer.append(littleEndian: firstID)
        writer.append(littleEndian: offset)
        writer.append(littleEndian: durableUpTo)
        writer.append(littleEndian: previousChecksum)
        writer.append(littleEndian: segment)
        writer.append(littleEndian: bodyChecksum)
        checksum = writer.bytes.withUnsafeBytes {
            Checksum.crc32c(UnsafeRawBufferPointer(rebasing: $0[start...]), seed: seed)
        }
        writer.append(littleEndian: checksum)
    }

    /// Reads the header at `offset`, or nil where there is none: other bytes, a wrong checksum, another place or
    /// segment.
    init?(_ bytes: UnsafeRawBufferPointer, at offset: Int, segment: UInt32, seed: UInt32) {
        guard offset >= 0, bytes.count - offset >= Self.size else { return nil }
        let header = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Self.size)])
        self.init(detached: header, offset: UInt64(offset), segment: segment, seed: seed)
    }

    /// Reads the header in `bytes`, which were at `offset` of their file.
    init?(detached bytes: UnsafeRawBufferPointer, offset place: UInt64, segment: UInt32, seed: UInt32) {
        guard bytes.count >= Self.size else { return nil }
        func load<Integer: FixedWidthInteger & BitwiseCopyable>(_ place: Int, _: Integer.Type) -> Integer {
            Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Integer.self))
        }
        guard load(0, UInt32.self) == Self.magic else { return nil }
        let covered = UnsafeRawBufferPointer(rebasing: bytes[..<(Self.size - 4)])
        checksum = load(60, UInt32.self)
        guard Checksum.crc32c(covered, seed: seed) == checksum else { return nil }
        guard let kind = Kind(rawValue: load(4, UInt8.self)), let codec = Codec(rawValue: load(5, UInt8.self)),
            load(6, UInt16.self) == 0
        else { return nil }
        self.kind = kind
        self.codec = codec
        storedLength = Int(load(8, UInt32.self))
        rawLength = Int(load(12, UInt32.self))
        firstSequence = load(16, UInt64.self)
        firstID = load(24, UInt64.self)
        self.offset = load(32, UInt64.self)
        durableUpTo = load(40, UInt64.self)
        previousChecksum = load(48, UInt32.self)
        self.segment = load(52, UInt32.self)
        bodyChecksum = load(56, UInt32.self)
        guard self.offset == place, self.segment == segment else { return nil }
        guard rawLength <= Limits.frameBytes, storedLength <= Limits.frameBytes else { return nil }
        switch codec {
        case .raw: guard rawLength == storedLength else { return nil }
        case .lz4: guard LZ4.isPlausible(raw: rawLength, stored: storedLength) else { return nil }
        }
    }

    init(
        kind: Kind, codec: Codec, storedLength: Int, rawLength: Int, firstSequence: UInt64, firstID: UInt64,
        offset: UInt64, durableUpTo: UInt64, previousChecksum: UInt32, segment: UInt32
    ) {
        self.kind = kind
        self.codec = codec
        self.storedLength = storedLength
        self.rawLength = rawLength
        self.firstSequence = firstSequence
        self.firstID = firstID
        self.offset = offset
        self.durableUpTo = durableUpTo
        self.previousChecksum = previousChecksum
        self.segment = segment
    }

    /// The stored body in the bytes of the file, or nil when it passes the end or its checksum is wrong.
    func body(in bytes: UnsafeRawBufferPointer, seed: UInt32) -> UnsafeRawBufferPointer? {
        body(behind: UnsafeRawBufferPointer(rebasing: bytes[Int(offset)...]), seed: seed)
    }

    /// The stored body in bytes that begin with this header, or nil as above.
    func body(behind header: UnsafeRawBufferPointer, seed: UInt32) -> UnsafeRawBufferPointer? {
        guard header.count - Self.size >= storedLength else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: header[Self.size..<(Self.size + storedLength)])
        return Checksum.crc32c(body, seed: seed) == bodyChecksum ? body : nil
    }

    /// The body as it was before compression. `stored` passed its checksum.
    func decoded(_ stored: UnsafeRawBufferPointer) throws(DecodingFailure) -> [UInt8] {
        switch codec {
        case .raw: return [UInt8](stored)
        case .lz4:
            var failure: DecodingFailure?
            let bytes = [UInt8](unsafeUninitializedCapacity: rawLength) { target, count in
                do throws(DecodingFailure) {
                    try LZ4.decompress(
                        stored, into: UnsafeMutableRawBufferPointer(start: target.baseAddress, count: rawLength))
                    count = rawLength
                } catch {
                    failure = error
                    count = 0
                }
            }
            if let failure { throw failure }
            return bytes
        }
    }
}
