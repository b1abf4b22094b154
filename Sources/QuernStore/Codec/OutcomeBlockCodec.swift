// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// The columnar form of children of one parent (S9): in a log record without compression of its own, in an index
/// segment with facts and memos compressed apart, so that failures are found without decoding memos.
///
/// Layout: the fixed header below, the facts section, the memo section.
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
    var isShuffled: Bool
    var factsCodec: FrameHeader.Codec
    var memosCodec: FrameHeader.Codec
    var factsRaw: Int
    var factsStored: Int
    var memosRaw: Int
    var memosStored: Int

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: parent)
        writer.append(littleEndian: root)
        writer.append(littleEndian: lastSequence)
        writer.append(littleEndian: UInt32(rowCount))
        writer.append(littleEndian: UInt32(failureCount))
        writer.append(littleEndian: memoLength)
        writer.append(isShuffled ? 1 : 0)
        writer.append(factsCodec.rawValue)
        writer.append(memosCodec.rawValue)
        writer.append(zeros: 9)
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
        isShuffled = flags == 1
        guard let facts = FrameHeader.Codec(rawValue: try reader.byte()),
            let memos = FrameHeader.Codec(rawValue: try reader.byte())
        else { throw DecodingFailure("block codec") }
        factsCodec = facts
        memosCodec = memos
        guard try reader.take(9).allSatisfy({ $0 == 0 }) else { throw DecodingFailure("reserved bytes are not zero") }
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
        if isShuffled {
            guard memoLength != Self.variableLength, memoLength > 0, memosRaw % Int(memoLength) == 0 else {
                throw DecodingFailure("shuffled memos of unequal length")
            }
        }
    }

    init(
        parent: UInt64, root: UInt64, lastSequence: UInt64, rowCount: Int, failureCount: Int, memoLength: UInt32,
        isShuffled: Bool, factsCodec: FrameHeader.Codec, memosCodec: FrameHeader.Codec, factsRaw: Int, factsStored: Int,
        memosRaw: Int, memosStored: Int
    ) {
        self.parent = parent
        self.root = root
        self.lastSequence = lastSequence
        self.rowCount = rowCount
        self.failureCount = failureCount
        self.memoLength = memoLength
        self.isShuffled = isShuffled
        self.factsCodec = factsCodec
        self.memosCodec = memosCodec
        self.factsRaw = factsRaw
        self.factsStored = factsStored
        self.memosRaw = memosRaw
        self.memosStored = memosStored
    }
}

/// Buffers that an encoder or a decoder uses again and again.
struct OutcomeBlockScratch: Sendable {
    var facts = ByteWriter()
    var compressedFacts = ByteWriter()
    var memos: [UInt8] = []
    var compressedMemos = ByteWriter()
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
        let shuffles = memoLength.map { $0 > 1 && $0 <= shuffleLimit } ?? false
        if shuffles, let width = memoLength {
            let count = block.memos.count
            scratch.memos.resize(to: count)
            block.memos.withUnsafeBufferPointer { source in
                scratch.memos.withUnsafeMutableBufferPointer { target in
                    quern_shuffle(source.baseAddress, target.baseAddress, count / width, width)
                }
            }
        }
        scratch.compressedFacts.removeAll()
        scratch.compressedMemos.removeAll()
        let packsFacts =
            compress && scratch.facts.bytes.withUnsafeBytes { LZ4.compress($0, into: &scratch.compressedFacts) }
        let memos = shuffles ? scratch.memos : block.memos
        let packsMemos =
            compress
            && memos.withUnsafeBytes {
                LZ4.compress(
                    $0, acceleration: shuffles ? shuffledAcceleration : 1, into: &scratch.compressedMemos)
            }
        let header = OutcomeBlockHeader(
            parent: block.parent.rawValue, root: block.root.rawValue,
            lastSequence: block.rows[block.rows.count - 1].sequence,
            rowCount: block.rows.count,
            failureCount: block.rows.reduce(into: 0) { $0 += $1.kind.isFailure ? 1 : 0 },
            memoLength: memoLength.map(UInt32.init) ?? OutcomeBlockHeader.variableLength, isShuffled: shuffles,
            factsCodec: packsFacts ? .lz4 : .raw, memosCodec: packsMemos ? .lz4 : .raw,
            factsRaw: scratch.facts.count,
            factsStored: packsFacts ? scratch.compressedFacts.count : scratch.facts.count,
            memosRaw: memos.count, memosStored: packsMemos ? scratch.compressedMemos.count : memos.count)
        header.append(to: &writer)
        (packsFacts ? scratch.compressedFacts : scratch.facts).bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
        if packsMemos {
            scratch.compressedMemos.bytes.withUnsafeBytes { writer.append(contentsOf: $0) }
        } else {
            memos.withUnsafeBytes { writer.append(contentsOf: $0) }
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

    /// Facts: first id and sequence, then columns of id differences, sequence differences, kinds, labels, attempts,
    /// end times, run times, value lengths, then the error bytes.
    private static func encodeFacts(_ block: OutcomeBlock, into writer: inout ByteWriter) {
        let rows = block.rows
        writer.removeAll()
        writer.append(littleEndian: rows[0].task)
        writer.append(littleEndian: rows[0].sequence)
        rows.withUnsafeBufferPointer { rows in
            // Row 0 repeats the difference of row 1, so that an even column stays constant.
            IntegerColumn.encode(count: rows.count, into: &writer) { index in
                let at = max(index, 1)
                return rows.count == 1 ? 0 : Int64(bitPattern: rows[at].task &- rows[at - 1].task)
            }
            IntegerColumn.encode(count: rows.count, into: &writer) { index in
                let at = max(index, 1)
                return rows.count == 1 ? 0 : Int64(bitPattern: rows[at].sequence &- rows[at - 1].sequence)
            }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].kind.rawValue) }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].label) }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].attempts) }
            IntegerColumn.encode(count: rows.count, into: &writer) { rows[$0].endedAt }
            IntegerColumn.encode(count: rows.count, into: &writer) { rows[$0].endedAt &- rows[$0].startedAt }
            IntegerColumn.encode(count: rows.count, into: &writer) { Int64(rows[$0].valueLength) }
        }
        block.errors.withUnsafeBytes { writer.append(contentsOf: $0) }
    }
}
