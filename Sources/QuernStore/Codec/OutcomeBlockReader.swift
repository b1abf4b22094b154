// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// Reads the columnar form back. The bytes passed their checksum, yet every length is checked again: a checksum
/// says that bytes are what was written, not that the writer was right.
enum OutcomeBlockReader {
    /// Decodes `bytes`, a whole block, into `block`. What is not in `columns` stays empty.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, columns: ChildColumns, scratch: inout [UInt8], into block: inout ChildBlock
    ) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let (header, storedFacts, storedMemos, attachments) = try sections(&reader)
        guard reader.isAtEnd else { throw DecodingFailure("bytes behind a block") }

        block.reset(count: header.rowCount, parent: TaskID(header.parent))
        block.root = TaskID(header.root)
        block.lastSequence = header.lastSequence
        if !columns.contains(.facts), let uniform = try uniform(storedFacts, header: header, scratch: &scratch) {
            block.uniform = uniform
            block.memoBytes = header.rowCount * uniform.memoLength
        } else if header.factsCodec == .lz4 {
            try decompress(storedFacts, count: header.factsRaw, of: header.factsRaw, scratch: &scratch) {
                (facts) throws(DecodingFailure) in
                try decodeFacts(facts, header: header, columns: columns, into: &block)
            }
        } else {
            try decodeFacts(storedFacts, header: header, columns: columns, into: &block)
        }
        guard header.sectionBytes(ofMemos: block.memoBytes) == header.memosRaw else {
            throw DecodingFailure("memo lengths do not add up")
        }
        if columns.contains(.attachments), let attachments {
            try decodeAttachments(attachments, scratch: &scratch, into: &block)
        }
        guard columns.contains(.memos), header.memosRaw > 0 else {
            block.memos.removeAll(keepingCapacity: true)
            return
        }
        try decodeMemos(storedMemos, header: header, scratch: &scratch, into: &block)
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

    /// What a walk over memos alone wants of the facts: it decodes no further than the columns that tell.
    private static func uniform(
        _ stored: UnsafeRawBufferPointer, header: OutcomeBlockHeader, scratch: inout [UInt8]
    ) throws(DecodingFailure) -> (label: Label, memoLength: Int)? {
        if header.factsCodec == .raw { return try uniform(stored, rows: header.rowCount) }
        var result: (label: Label, memoLength: Int)?
        try decompress(stored, count: min(header.factsRaw, uniformSize), of: header.factsRaw, scratch: &scratch) {
            (facts) throws(DecodingFailure) in
            result = try uniform(facts, rows: header.rowCount)
        }
        return result
    }

    /// First id, first sequence, and three columns of equal values.
    private static let uniformSize = 2 * 8 + 3 * 9

    private static func uniform(
        _ facts: UnsafeRawBufferPointer, rows: Int
    ) throws(DecodingFailure) -> (label: Label, memoLength: Int)? {
        var reader = ByteReader(facts, at: 2 * 8)
        // Columns without planes are read whatever the number of rows.
        guard let kinds = try IntegerColumn.constant(from: &reader), kinds == OutcomeKind.completed.rawValue,
            let labels = try IntegerColumn.constant(from: &reader),
            let lengths = try IntegerColumn.constant(from: &reader)
        else { return nil }
        guard let label = UInt32(exactly: labels) else { throw DecodingFailure("label") }
        guard lengths >= 0, lengths <= Int64(Limits.frameBytes / rows) else {
            throw DecodingFailure("lengths above limit")
        }
        return (Label(rawValue: label), Int(lengths))
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

    /// The facts were decoded before.
    private static func decodeAttachments(
        _ section: AttachmentSection, scratch: inout [UInt8], into block: inout ChildBlock
    ) throws(DecodingFailure) {
        func decode(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
            var reader = ByteReader(bytes)
            let lengths = try IntegerColumn.decode(count: block.rows.count, from: &reader)
            guard try lengths.total(limit: Limits.frameBytes) == reader.remaining, reader.remaining > 0 else {
                throw DecodingFailure("attachment lengths do not add up")
            }
            for (index, row) in block.rows.enumerated() {
                block.attachments.append(try reader.take(Int(lengths[index])), of: row.outcome.sequence)
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

    private static func decodeFacts(
        _ facts: UnsafeRawBufferPointer, header: OutcomeBlockHeader, columns: ChildColumns, into block: inout ChildBlock
    ) throws(DecodingFailure) {
        let count = header.rowCount
        block.uniform = try uniform(facts, rows: count)
        let facts = try OutcomeFacts(facts, rows: count)
        let (kinds, labels, lengths) = (facts.kinds, facts.labels, facts.lengths)
        let (idSteps, sequenceSteps, attempts) = (facts.idSteps, facts.sequenceSteps, facts.attempts)
        let (endTimes, runTimes, errors) = (facts.endTimes, facts.runTimes, facts.errors)

        let total = try lengths.total(limit: Limits.frameBytes)
        guard total >= errors.count else { throw DecodingFailure("value lengths do not add up") }
        block.memoBytes = total - errors.count

        var rows = block.takeRows(reserving: count)
        var task = facts.firstID
        var sequence = facts.firstSequence
        var memoOffset = 0
        var errorOffset = 0
        let wantsFacts = columns.contains(.facts)
        for index in 0..<count {
            if index > 0 {
                task &+= UInt64(bitPattern: idSteps[index])
                sequence &+= UInt64(bitPattern: sequenceSteps[index])
            }
            guard let kind = UInt8(exactly: kinds[index]).flatMap(OutcomeKind.init(rawValue:)) else {
                throw DecodingFailure("outcome kind \(kinds[index])")
            }
            guard let label = UInt32(exactly: labels[index]) else { throw DecodingFailure("label") }
            let length = Int(lengths[index])
            let endedAt = wantsFacts ? endTimes[index] : 0
            guard let tries = UInt32(exactly: wantsFacts ? attempts[index] : 0) else {
                throw DecodingFailure("attempts")
            }
            rows.append(
                ChildBlock.Row(
                    outcome: OutcomeRow(
                        task: task, sequence: sequence, startedAt: wantsFacts ? endedAt &- runTimes[index] : 0,
                        endedAt: endedAt, label: label, attempts: tries, valueLength: UInt32(length), kind: kind),
                    valueOffset: kind == .completed ? memoOffset : errorOffset))
            if kind == .completed { memoOffset += length } else { errorOffset += length }
        }
        guard errorOffset == errors.count, memoOffset == block.memoBytes else {
            throw DecodingFailure("value lengths do not fit the kinds")
        }
        block.put(rows)
        if columns.contains(.errors) { block.errors.append(contentsOf: errors) }
    }

    /// Gives `body` the first `count` of the `whole` bytes that are compressed. They lie in `scratch`, which only
    /// grows.
    private static func decompress(
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
