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
        let header = try OutcomeBlockHeader(&reader)
        let storedFacts = try reader.take(header.factsStored)
        let storedMemos = try reader.take(header.memosStored)
        guard reader.isAtEnd else { throw DecodingFailure("bytes behind a block") }

        block.reset(count: header.rowCount, parent: TaskID(header.parent))
        block.root = TaskID(header.root)
        block.lastSequence = header.lastSequence
        if header.factsCodec == .lz4 {
            try fill(&scratch, from: storedFacts, codec: .lz4, count: header.factsRaw)
            try scratch.withUnsafeBytesThrowing { (facts) throws(DecodingFailure) in
                try decodeFacts(facts, header: header, columns: columns, into: &block)
            }
        } else {
            try decodeFacts(storedFacts, header: header, columns: columns, into: &block)
        }
        guard block.memoBytes == header.memosRaw else { throw DecodingFailure("memo lengths do not add up") }
        guard columns.contains(.memos), header.memosRaw > 0 else {
            block.memos.removeAll(keepingCapacity: true)
            return
        }

        if header.isShuffled {
            try fill(&scratch, from: storedMemos, codec: header.memosCodec, count: header.memosRaw)
            block.memos.resize(to: header.memosRaw)
            let width = Int(header.memoLength)
            scratch.withUnsafeBufferPointer { source in
                block.memos.withUnsafeMutableBufferPointer { target in
                    quern_unshuffle(source.baseAddress, target.baseAddress, header.memosRaw / width, width)
                }
            }
        } else {
            try fill(&block.memos, from: storedMemos, codec: header.memosCodec, count: header.memosRaw)
        }
    }

    private static func decodeFacts(
        _ facts: UnsafeRawBufferPointer, header: OutcomeBlockHeader, columns: ChildColumns, into block: inout ChildBlock
    ) throws(DecodingFailure) {
        let count = header.rowCount
        var reader = ByteReader(facts)
        let firstID: UInt64 = try reader.littleEndian()
        let firstSequence: UInt64 = try reader.littleEndian()
        let idSteps = try IntegerColumn.decode(count: count, from: &reader)
        let sequenceSteps = try IntegerColumn.decode(count: count, from: &reader)
        let kinds = try IntegerColumn.decode(count: count, from: &reader)
        let labels = try IntegerColumn.decode(count: count, from: &reader)
        let attempts = try IntegerColumn.decode(count: count, from: &reader)
        let endTimes = try IntegerColumn.decode(count: count, from: &reader)
        let runTimes = try IntegerColumn.decode(count: count, from: &reader)
        let lengths = try IntegerColumn.decode(count: count, from: &reader)
        let errors = try reader.take(reader.remaining)

        let total = try lengths.total(limit: Limits.frameBytes)
        guard total == errors.count + header.memosRaw else { throw DecodingFailure("value lengths do not add up") }
        block.memoBytes = header.memosRaw
        if kinds.isConstant, labels.isConstant, lengths.isConstant, kinds.base == OutcomeKind.completed.rawValue {
            guard let label = UInt32(exactly: labels.base) else { throw DecodingFailure("label") }
            block.uniform = (Label(rawValue: label), Int(lengths.base))
            guard errors.isEmpty else { throw DecodingFailure("errors of completed children") }
            if !columns.contains(.facts) { return }
        }

        var rows = block.takeRows(reserving: count)
        var task = firstID
        var sequence = firstSequence
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
        guard errorOffset == errors.count, memoOffset == header.memosRaw else {
            throw DecodingFailure("value lengths do not fit the kinds")
        }
        block.put(rows)
        if columns.contains(.errors) { block.errors.append(contentsOf: errors) }
    }

    private static func fill(
        _ target: inout [UInt8], from stored: UnsafeRawBufferPointer, codec: FrameHeader.Codec, count: Int
    ) throws(DecodingFailure) {
        if codec == .raw {
            target.removeAll(keepingCapacity: true)
            target.append(contentsOf: stored)
            return
        }
        target.resize(to: count)
        try target.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
            try LZ4.decompress(stored, into: bytes)
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
