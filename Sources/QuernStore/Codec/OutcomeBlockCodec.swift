// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// The columnar form of children of one parent (S9): in a log record without compression of its own, in an index
/// segment with facts and memos compressed apart, so that failures are found without decoding memos.
///
/// Layout: the fixed header below, the facts section, the memo section; when a row has an attachment a section of
/// these, which begins with its lengths.
struct OutcomeBlockHeader: Equatable {
    static let size = 64
    /// `memoLength` where the completed rows' memos differ in length.
    static let variableLength = UInt32.max

    var parent: UInt64
    /// The root of the parent's tree; 0 in the log, and for root tasks.
    var root: UInt64
    var lastSequence: UInt64
    var rowCount: Int
    var failureCount: Int
    /// The length of every memo, when they are equal.
    var memoLength: UInt32
    /// Set when memos are shuffled: which of their bytes differ between rows and so have a whole plane.
    var varyingPlanes: UInt64?
    var factsCodec: FrameHeader.Codec
    var memosCodec: FrameHeader.Codec
    var factsRaw: Int
    var factsStored: Int
    var memosRaw: Int
    var memosStored: Int
    /// Nil when no row has an attachment.
    var attachmentsCodec: FrameHeader.Codec?

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: parent)
        writer.append(littleEndian: root)
        writer.append(littleEndian: lastSequence)
        writer.append(littleEndian: UInt32(rowCount))
        writer.append(littleEndian: UInt32(failureCount))
        writer.append(littleEndian: memoLength)
        writer.append(varyingPlanes == nil ? 0 : 1)
        writer.append(factsCodec.rawValue)
        writer.append(memosCodec.rawValue)
        writer.append(attachmentsCodec.map { $0.rawValue + 1 } ?? 0)
        writer.append(littleEndian: varyingPlanes ?? 0)
        writer.append(littleEndian: UInt32(factsRaw))
        writer.append(littleEndian: UInt32(factsStored))
        writer.append(littleEndian: UInt32(memosRaw))
        writer.append(littleEndian: UInt32(memosStored))
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        parent = try reader.littleEndian()
        root = try reader.littleEndian()
        lastSequence = try reader.littleEndian()
        rowCount = Int(try reader.littleEndian(UInt32.self))
        failureCount = Int(try reader.littleEndian(UInt32.self))
        memoLength = try reader.littleEndian()
        let flags = try reader.byte()
        guard flags <= 1 else { throw DecodingFailure("block flags \(flags)") }
        guard let facts = FrameHeader.Codec(rawValue: try reader.byte()),
            let memos = FrameHeader.Codec(rawValue: try reader.byte())
        else { throw DecodingFailure("block codec") }
        factsCodec = facts
        memosCodec = memos
        let attachments = try reader.byte()
        attachmentsCodec = attachments == 0 ? nil : FrameHeader.Codec(rawValue: attachments - 1)
        guard attachments == 0 || attachmentsCodec != nil else { throw DecodingFailure("codec of attachments") }
        let planes: UInt64 = try reader.littleEndian()
        varyingPlanes = flags == 1 ? planes : nil
        factsRaw = Int(try reader.littleEndian(UInt32.self))
        factsStored = Int(try reader.littleEndian(UInt32.self))
        memosRaw = Int(try reader.littleEndian(UInt32.self))
        memosStored = Int(try reader.littleEndian(UInt32.self))
        guard rowCount > 0, rowCount <= Limits.blockRows, failureCount <= rowCount else {
            throw DecodingFailure("block of \(rowCount) rows")
        }
        for (raw, stored, codec) in [(factsRaw, factsStored, facts), (memosRaw, memosStored, memos)] {
            guard raw <= Limits.frameBytes, stored <= reader.remaining else {
                throw DecodingFailure("block section length")
            }
            switch codec {
            case .raw: guard raw == stored else { throw DecodingFailure("raw block section length") }
            case .lz4: guard LZ4.isPlausible(raw: raw, stored: stored) else { throw DecodingFailure("block ratio") }
            }
        }
        if flags == 1 {
            guard memoLength > 0, memoLength <= OutcomeBlockCodec.shuffleLimit else {
                throw DecodingFailure("shuffled memos of \(memoLength) bytes")
            }
        }
        // Shifting by 64 gives 0.
        guard flags == 1 ? planes >> UInt64(memoLength) == 0 : planes == 0 else {
            throw DecodingFailure("planes of bytes that are not there")
        }
    }

    init(
        parent: UInt64, root: UInt64, lastSequence: UInt64, rowCount: Int, failureCount: Int, memoLength: UInt32,
        varyingPlanes: UInt64?, factsCodec: FrameHeader.Codec, memosCodec: FrameHeader.Codec, factsRaw: Int,
        factsStored: Int, memosRaw: Int, memosStored: Int, attachmentsCodec: FrameHeader.Codec?
    ) {
        self.parent = parent
        self.root = root
        self.lastSequence = lastSequence
        self.rowCount = rowCount
        self.failureCount = failureCount
        self.memoLength = memoLength
        self.varyingPlanes = varyingPlanes
        self.factsCodec = factsCodec
        self.memosCodec = memosCodec
        self.factsRaw = factsRaw
        self.factsStored = factsStored
        self.memosRaw = memosRaw
        self.memosStored = memosStored
        self.attachmentsCodec = attachmentsCodec
    }

    /// How many memo bytes the memo section holds when it is decoded, `bytes` of them in the end.
    func sectionBytes(ofMemos bytes: Int) -> Int? {
        guard let varyingPlanes else { return bytes }
        let width = Int(memoLength)
        guard bytes % width == 0 else { return nil }
        return Self.sectionBytes(count: bytes / width, width: width, varying: varyingPlanes)
    }

    /// How many bytes the planes of `count` memos take.
    static func sectionBytes(count: Int, width: Int, varying: UInt64) -> Int {
        width + varying.nonzeroBitCount * (count - 1)
    }
}

/// Buffers that an encoder or a decoder uses again and again.
struct OutcomeBlockScratch: Sendable {
    var facts = ByteWriter()
    var compressedFacts = ByteWriter()
    var memos: [UInt8] = []
    var compressedMemos = ByteWriter()
    var attachments = ByteWriter()
    var compressedAttachments = ByteWriter()
}

enum OutcomeBlockCodec {
    /// Memos of equal length up to this many bytes are shuffled: longer ones are rarely numbers side by side.
    static let shuffleLimit = 64

    /// What shuffled bytes gain is in long runs, which any look finds. Planes of small numbers are full of matches of
    /// four bytes, which save 8 % and take three times as long to decode: 5.7 against 2.0 ns a memo of 24 bytes.
    private static let shuffledAcceleration: CInt = 32

    static func encode(
        _ block: OutcomeBlock, compress: Bool, scratch: inout OutcomeBlockScratch, into writer: inout ByteWriter
    ) {
        encodeFacts(block, into: &scratch.facts)
        let memoLength = equalMemoLength(block)
        let varying = memoLength.flatMap { shuffle(block.memos, width: $0, into: &scratch.memos) }
        scratch.compressedFacts.removeAll()
        scratch.compressedMemos.removeAll()
        let packsFacts =
            compress && scratch.facts.bytes.withUnsafeBytes { LZ4.compress($0, into: &scratch.compressedFacts) }
        let memos = varying == nil ? block.memos : scratch.memos
        let packsMemos =
            compress
            && memos.withUnsafeBytes {
                LZ4.compress(
                    $0, acceleration: varying == nil ? 1 : shuffledAcceleration, into: &scratch.compressedMemos)
            }
        let attachmentsCodec =
            block.attachments.isEmpty ? nil : encodeAttachments(block, compress: compress, scratch: &scratch)
        let header = OutcomeBlockHeader(
            parent: block.parent.rawValue, root: block.root.rawValue,
            lastSequence: block.rows[block.rows.count - 1].sequence,
            rowCount: block.rows.count,
            failureCount: block.rows.reduce(into: 0) { $0 += $1.kind.isFailure ? 1 : 0 },
            memoLength: memoLength.map(UInt32.init) ?? OutcomeBlockHeader.variableLength, varyingPlanes: varying,
            factsCodec: packsFacts ? .lz4 : .raw, memosCodec: packsMemos ? .lz4 : .raw,
            factsRaw: scratch.facts.count,
            factsStored: packsFacts ? scratch.compressedFacts.count : scratch.facts.count,
            memosRaw: memos.count, memosStored: packsMemos ? scratch.compressedMemos.count : memos.count,
            attachmentsCodec: attachmentsCodec)
        header.append(to: &writer)
        (packsFacts ? scratch.compressedFacts : scratch.facts).bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
        if packsMemos {
            scratch.compressedMemos.bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
        } else {
            memos.withUnsafeBytes { writer.append(contentsOf: $0) }
        }
        guard let attachmentsCodec else { return }
        let stored = attachmentsCodec == .lz4 ? scratch.compressedAttachments : scratch.attachments
        writer.append(littleEndian: UInt32(scratch.attachments.count))
        writer.append(littleEndian: UInt32(stored.count))
        stored.bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
    }

    /// Attachments: a column of their lengths, then the bytes. Returns how they are to be stored.
    private static func encodeAttachments(
        _ block: OutcomeBlock, compress: Bool, scratch: inout OutcomeBlockScratch
    ) -> FrameHeader.Codec {
        scratch.attachments.removeAll()
        IntegerColumn.encode(count: block.rows.count, into: &scratch.attachments) {
            Int64(block.attachments.range(of: block.rows[$0].sequence).count)
        }
        scratch.attachments.append(contentsOf: block.attachments.bytes)
        scratch.compressedAttachments.removeAll()
        let isPacked =
            compress
            && scratch.attachments.bytes.withUnsafeBytes { LZ4.compress($0, into: &scratch.compressedAttachments) }
        return isPacked ? .lz4 : .raw
    }

    /// Makes planes of memos of equal length, when they have a length that is shuffled. Bytes that all memos have alike
    /// take one byte: of small integers most do, and what is not there need not be compressed, checked or copied.
    ///
    /// - Returns: which bytes have a whole plane.
    private static func shuffle(_ memos: [UInt8], width: Int, into planes: inout [UInt8]) -> UInt64? {
        guard width > 1, width <= shuffleLimit else { return nil }
        let count = memos.count / width
        return memos.withUnsafeBufferPointer { source in
            let varying = quern_varying_planes(source.baseAddress, count, width)
            planes.resize(to: OutcomeBlockHeader.sectionBytes(count: count, width: width, varying: varying))
            planes.withUnsafeMutableBufferPointer {
                quern_shuffle(source.baseAddress, $0.baseAddress, count, width, varying)
            }
            return varying
        }
    }

    /// The one length that all memos have, if they have; 0 when there are none.
    private static func equalMemoLength(_ block: OutcomeBlock) -> Int? {
        var length: UInt32?
        for row in block.rows where row.kind == .completed {
            if let length, length != row.valueLength { return nil }
            length = row.valueLength
        }
        return Int(length ?? 0)
    }

    /// Facts: first id and sequence, then columns of kinds, labels, value lengths, differences of ids and of sequences,
    /// attempts, end times, run times, then the error bytes. What tells whether a block is uniform comes first, so that
    /// a walk over memos alone decodes no further.
    private static func encodeFacts(_ block: OutcomeBlock, into writer: inout ByteWriter) {
        let rows = block.rows
        writer.removeAll()
        writer.append(littleEndian: rows[0].task)
        writer.append(littleEndian: rows[0].sequence)
        rows.withUnsafeBufferPointer { rows in
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].kind.rawValue) }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].label) }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].valueLength) }
            // Row 0 repeats the difference of row 1, so that an even column stays constant.
            IntegerColumn.encode(count: rows.count, into: &writer) { index in
                let at = max(index, 1)
                return rows.count == 1 ? 0 : Int64(bitPattern: rows[at].task &- rows[at - 1].task)
            }
            IntegerColumn.encode(count: rows.count, into: &writer) { index in
                let at = max(index, 1)
                return rows.count == 1 ? 0 : Int64(bitPattern: rows[at].sequence &- rows[at - 1].sequence)
            }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].attempts) }
            IntegerColumn.encode(count: rows.count, into: &writer) { rows[$0].endedAt }
            IntegerColumn.encode(count: rows.count, into: &writer) { rows[$0].endedAt &- rows[$0].startedAt }
        }
        block.errors.withUnsafeBytes { writer.append(contentsOf: $0) }
    }
}
