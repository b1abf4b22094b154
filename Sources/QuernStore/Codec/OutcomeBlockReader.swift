// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// Reads the columnar form back. The bytes passed their checksum, yet every length is checked again: a checksum
/// says that bytes are what was written, not that the writer was right.
enum OutcomeBlockReader {
    /// Decodes `bytes`, a whole block, into `block`. What is not in `columns` stays empty.
    ///
    /// - Parameter skipped: when given, only the failures from that row on are wanted, and memos of none.
    /// - Returns: how many rows the block has.
    @discardableResult
    static func decode(
        _ bytes: UnsafeRawBufferPointer, columns: ChildColumns, failuresBehind skipped: Int? = nil,
        scratch: inout [UInt8], into block: inout ChildBlock
    ) throws(DecodingFailure) -> Int {
        var reader = ByteReader(bytes)
        let (header, storedFacts, storedMemos, attachments) = try sections(&reader)
        guard reader.isAtEnd else { throw DecodingFailure("bytes behind a block") }

        block.reset(count: header.rowCount, parent: TaskID(header.parent))
        block.root = TaskID(header.root)
        block.lastSequence = header.lastSequence
        try decodeFacts(
            storedFacts, header: header, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &block)
        guard header.sectionBytes(ofMemos: block.memoBytes) == header.memosRaw else {
            throw DecodingFailure("memo lengths do not add up")
        }
        if columns.contains(.attachments), let attachments {
            try decodeAttachments(attachments, header, isPartial: skipped != nil, scratch: &scratch, into: &block)
        }
        if columns.contains(.memos), skipped == nil, header.memosRaw > 0 {
            try decodeMemos(storedMemos, header: header, scratch: &scratch, into: &block)
        } else {
            block.memos.removeAll(keepingCapacity: true)
        }
        return header.rowCount
    }

    /// How long the block is that `bytes` begin with: its sections say it, of which none is decoded.
    static func length(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) -> Int {
        var reader = ByteReader(bytes)
        _ = try sections(&reader)
        return reader.offset
    }

    /// The header and the sections as they are stored.
    static func sections(
        _ reader: inout ByteReader
    ) throws(DecodingFailure) -> (
        OutcomeBlockHeader, facts: UnsafeRawBufferPointer, memos: UnsafeRawBufferPointer, AttachmentSection?
    ) {
        let header = try OutcomeBlockHeader(&reader)
        let facts = try reader.take(header.factsStored)
        let memos = try reader.take(header.memosStored)
        guard let codec = header.attachmentsCodec else { return (header, facts, memos, nil) }
        return (header, facts, memos, try AttachmentSection(codec, &reader))
    }

    private static func decodeMemos(
        _ stored: UnsafeRawBufferPointer, header: OutcomeBlockHeader, scratch: inout [UInt8],
        into block: inout ChildBlock
    ) throws(DecodingFailure) {
        guard let varying = header.varyingPlanes else {
            guard header.memosCodec == .lz4 else {
                block.memos.removeAll(keepingCapacity: true)
                block.memos.append(contentsOf: stored)
                return
            }
            block.memos.resize(to: header.memosRaw)
            return try block.memos.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
                try LZ4.decompress(stored, into: bytes)
            }
        }
        let width = Int(header.memoLength)
        block.memos.resize(to: block.memoBytes)
        func unshuffle(_ planes: UnsafeRawBufferPointer) {
            block.memos.withUnsafeMutableBufferPointer { target in
                quern_unshuffle(
                    planes.baseAddress, target.baseAddress, target.count / width, width, varying)
            }
        }
        if header.memosCodec == .raw { return unshuffle(stored) }
        try decompress(stored, count: header.memosRaw, of: header.memosRaw, scratch: &scratch) { unshuffle($0) }
    }

    /// The facts were decoded before, with rows for all, or in part for those that ``ChildBlock/others`` names.
    private static func decodeAttachments(
        _ section: AttachmentSection, _ header: OutcomeBlockHeader, isPartial: Bool, scratch: inout [UInt8],
        into block: inout ChildBlock
    ) throws(DecodingFailure) {
        func decode(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
            var reader = ByteReader(bytes)
            let lengths = try IntegerColumn.decode(count: header.rowCount, from: &reader)
            guard try lengths.total(limit: Limits.frameBytes) == reader.remaining, reader.remaining > 0 else {
                throw DecodingFailure("attachment lengths do not add up")
            }
            var next = 0
            for (place, row) in block.rows.enumerated() {
                let index = isPartial ? Int(block.others.rows[place].index) : place
                _ = try reader.take(Int(lengths.sum(next..<index)))
                block.attachments.append(try reader.take(Int(lengths[index])), of: row.outcome.sequence)
                next = index + 1
            }
        }
        switch section.codec {
        case .raw: try decode(section.stored)
        case .lz4:
            let raw = section.raw
            try decompress(section.stored, count: raw, of: raw, scratch: &scratch) { (bytes) throws(DecodingFailure) in
                try decode(bytes)
            }
        }
    }

    /// The attachments of a block as they are stored: decoded and stored length (4 bytes each), bytes.
    struct AttachmentSection {
        let codec: FrameHeader.Codec
        let raw: Int
        let stored: UnsafeRawBufferPointer

        init(_ codec: FrameHeader.Codec, _ reader: inout ByteReader) throws(DecodingFailure) {
            self.codec = codec
            raw = Int(try reader.littleEndian(UInt32.self))
            stored = try reader.take(Int(try reader.littleEndian(UInt32.self)))
            let isPlausible = codec == .raw ? raw == stored.count : LZ4.isPlausible(raw: raw, stored: stored.count)
            guard isPlausible, raw <= Limits.frameBytes else { throw DecodingFailure("length of attachments") }
        }
    }

    /// Gives `body` the first `count` of the `whole` bytes that are compressed. They lie in `scratch`, which only
    /// grows.
    static func decompress(
        _ stored: UnsafeRawBufferPointer, count: Int, of whole: Int, scratch: inout [UInt8],
        _ body: (UnsafeRawBufferPointer) throws(DecodingFailure) -> Void
    ) throws(DecodingFailure) {
        if scratch.count < count { scratch.resize(to: count) }
        try scratch.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
            try LZ4.decompress(stored, into: target, of: whole)
            try body(UnsafeRawBufferPointer(target))
        }
    }
}

extension [UInt8] {
    /// Makes room without clearing more than what is new.
    mutating func resize(to count: Int) {
        if self.count > count {
            removeLast(self.count - count)
        } else {
            append(zeros: count - self.count)
        }
    }

    /// `withUnsafeMutableBytes` for bodies with a typed error.
    mutating func withUnsafeMutableBytesThrowing<Failure: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
            try body(UnsafeMutableRawBufferPointer(buffer))
        }
    }
}
