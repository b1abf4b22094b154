// SPDX-License-Identifier: Apache-2.0

/// What a reader wants of the facts, and how they become rows.
extension OutcomeBlockReader {
    /// Decodes facts: no more of them than what is asked for.
    ///
    /// - Parameter skipped: when given, only the failures from that row on are wanted.
    static func decodeFacts(
        _ stored: UnsafeRawBufferPointer, header: OutcomeBlockHeader, columns: ChildColumns,
        failuresBehind skipped: Int?,
        scratch: inout [UInt8], into block: inout ChildBlock
    ) throws(DecodingFailure) {
        let rows = header.rowCount
        let isShapeEnough = skipped == nil && columns.isDisjoint(with: [.facts, .errors, .positions])
        func decode(_ facts: UnsafeRawBufferPointer) throws(DecodingFailure) {
            if isShapeEnough {
                var reader = ByteReader(facts, at: min(OutcomeShape.start, facts.count))
                return try fill(&block, OutcomeShape(&reader, rows: rows), nil, columns)
            }
            let facts = try OutcomeFacts(facts, rows: rows)
            if columns.contains(.positions) { return try fillPositions(&block, facts) }
            if let skipped { return try fillFailures(&block, facts, from: skipped, columns) }
            try fill(&block, facts.shape, facts, columns)
        }
        if header.factsCodec == .raw { return try decode(stored) }
        if isShapeEnough {
            // Most blocks have columns of equal values, or one byte for a kind and one for a length.
            for planes in [0, 2] {
                let end = OutcomeShape.end(rows: rows, planes: planes)
                guard end < header.factsRaw else { break }
                var shape: OutcomeShape?
                try decompress(stored, count: end, of: header.factsRaw, scratch: &scratch) {
                    (facts) throws(DecodingFailure) in
                    var reader = ByteReader(facts, at: OutcomeShape.start)
                    shape = try? OutcomeShape(&reader, rows: rows)
                    if let shape { try fill(&block, shape, nil, columns) }
                }
                if shape != nil { return }
            }
        }
        try decompress(stored, count: header.factsRaw, of: header.factsRaw, scratch: &scratch) {
            (facts) throws(DecodingFailure) in
            try decode(facts)
        }
    }

    /// All rows: as few as tell them where those that completed are alike and nobody asks for facts.
    ///
    /// - Parameter facts: nil when neither facts nor errors are wanted.
    private static func fill(
        _ block: inout ChildBlock, _ shape: OutcomeShape, _ facts: OutcomeFacts?, _ columns: ChildColumns
    ) throws(DecodingFailure) {
        let alike = try shape.alike()
        let errorBytes: Int
        if let alike, !columns.contains(.facts) {
            errorBytes = try fillOthers(&block, shape, completed: alike.first)
            block.others.place(count: shape.rows)
            block.rows.removeAll(keepingCapacity: true)
            let count = shape.rows - block.others.count
            block.completed = (Label(rawValue: alike.label), alike.length, count)
            block.memoBytes = count * alike.length
        } else {
            let found = try fillRows(&block, shape, columns.contains(.facts) ? facts : nil)
            errorBytes = found.errorBytes
            block.completed = alike.map { (Label(rawValue: $0.label), $0.length, found.completed) }
        }
        guard block.memoBytes <= Limits.frameBytes else { throw DecodingFailure("lengths above limit") }
        guard let facts else { return }
        guard errorBytes == facts.errors.count else { throw DecodingFailure("value lengths do not fit the kinds") }
        if columns.contains(.errors) { block.errors.append(contentsOf: facts.errors) }
    }

    /// The rows that did not complete. Returns how long their errors are.
    ///
    /// - Parameter completed: one that did; nil when there is none.
    private static func fillOthers(
        _ block: inout ChildBlock, _ shape: OutcomeShape, completed: Int?
    ) throws(DecodingFailure) -> Int {
        var offset = 0
        var row = completed.map { shape.firstOther(from: 0, completed: $0) } ?? 0
        while row < shape.rows {
            let length = try shape.length(at: row, behind: offset)
            block.others.append(
                OtherRows.Row(
                    index: UInt32(row), offset: UInt32(offset), length: UInt32(length), label: try shape.label(at: row),
                    kind: try shape.kind(at: row)))
            offset += length
            row += 1
            if let completed { row = shape.firstOther(from: row, completed: completed) }
        }
        return offset
    }

    /// The failures from one row on, without a look at rows that completed.
    private static func fillFailures(
        _ block: inout ChildBlock, _ facts: OutcomeFacts, from skipped: Int, _ columns: ChildColumns
    ) throws(DecodingFailure) {
        let total = try facts.shape.lengths.total(limit: Limits.frameBytes)
        let errorBytes = try fillOthers(&block, facts.shape, completed: facts.shape.firstCompleted())
        guard errorBytes == facts.errors.count else { throw DecodingFailure("value lengths do not fit the kinds") }
        block.memoBytes = total - errorBytes
        block.others.keep { $0.kind.isFailure && $0.index >= skipped }
        block.rows.removeAll(keepingCapacity: true)
        var (task, sequence, place) = (facts.firstID, facts.firstSequence, 0)
        let wantsFacts = columns.contains(.facts)
        for other in block.others.rows {
            let index = Int(other.index)
            var row = OutcomeRow(
                task: 0, sequence: 0, startedAt: 0, endedAt: 0, label: other.label, attempts: 0,
                valueLength: other.length, kind: other.kind)
            if wantsFacts {
                // A step leads to its row from the one before.
                task &+= UInt64(bitPattern: facts.idSteps.sum((place + 1)..<(index + 1)))
                sequence &+= UInt64(bitPattern: facts.sequenceSteps.sum((place + 1)..<(index + 1)))
                place = index
                guard let attempts = UInt32(exactly: facts.attempts[index]) else { throw DecodingFailure("attempts") }
                (row.task, row.sequence, row.attempts) = (task, sequence, attempts)
                row.endedAt = facts.endTimes[index]
                row.startedAt = row.endedAt &- facts.runTimes[index]
            }
            block.rows.append(ChildBlock.Row(outcome: row, valueOffset: Int(other.offset)))
        }
        block.count = block.rows.count
        if columns.contains(.errors) { block.errors.append(contentsOf: facts.errors) }
    }

    /// Sequences and kinds alone.
    private static func fillPositions(_ block: inout ChildBlock, _ facts: OutcomeFacts) throws(DecodingFailure) {
        let total = try facts.shape.lengths.total(limit: Limits.frameBytes)
        guard total >= facts.errors.count else { throw DecodingFailure("value lengths do not add up") }
        block.memoBytes = total - facts.errors.count
        block.rows.removeAll(keepingCapacity: true)
        let rows = facts.shape.rows
        block.positions.reserveCapacity(rows)
        var sequence = facts.firstSequence &- UInt64(bitPattern: facts.sequenceSteps[0])
        var areKnown = true
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: 2 * stripe) { buffer in
            let columns = buffer.baseAddress!
            for first in stride(from: 0, to: rows, by: stripe) {
                let range = first..<min(first + stripe, rows)
                facts.shape.kinds.load(range, into: columns)
                facts.sequenceSteps.load(range, into: columns + stripe)
                for place in 0..<range.count {
                    sequence &+= UInt64(bitPattern: columns[stripe + place])
                    let kind = UInt8(exactly: columns[place]).flatMap(OutcomeKind.init(rawValue:))
                    if kind == nil { areKnown = false }
                    block.positions.append(ChildBlock.Position(sequence: sequence, kind: kind ?? .completed))
                }
            }
        }
        guard areKnown else { throw DecodingFailure("outcome kind") }
    }

    /// Rows whose columns are put together at a time: little enough for the first cache.
    private static let stripe = 128

    /// Every row, with facts if they are given. Returns how long the errors are, and how many rows completed.
    private static func fillRows(
        _ block: inout ChildBlock, _ shape: OutcomeShape, _ facts: OutcomeFacts?
    ) throws(DecodingFailure) -> (errorBytes: Int, completed: Int) {
        // So nothing that is added up below overflows.
        let total = try shape.lengths.total(limit: Limits.frameBytes)
        var writer = RowWriter(facts)
        block.fillRows(shape.rows) { rows in
            withUnsafeTemporaryAllocation(of: Int64.self, capacity: 8 * stripe) { buffer in
                let columns = buffer.baseAddress!
                for first in stride(from: 0, to: rows.count, by: stripe) {
                    let range = first..<min(first + stripe, rows.count)
                    shape.kinds.load(range, into: columns)
                    shape.labels.load(range, into: columns + stripe)
                    shape.lengths.load(range, into: columns + 2 * stripe)
                    if let facts {
                        facts.idSteps.load(range, into: columns + 3 * stripe)
                        facts.sequenceSteps.load(range, into: columns + 4 * stripe)
                        facts.attempts.load(range, into: columns + 5 * stripe)
                        facts.endTimes.load(range, into: columns + 6 * stripe)
                        facts.runTimes.load(range, into: columns + 7 * stripe)
                    }
                    let target = UnsafeMutableBufferPointer(rebasing: rows[range])
                    if facts == nil {
                        writer.write(target, columns, stripe, hasFacts: false)
                    } else {
                        writer.write(target, columns, stripe, hasFacts: true)
                    }
                }
            }
        }
        if let problem = writer.problem { throw DecodingFailure("\(problem)") }
        block.memoBytes = total - writer.errorOffset
        return (writer.errorOffset, writer.completed)
    }

    /// Puts columns together to rows.
    private struct RowWriter {
        var task: UInt64 = 0
        var sequence: UInt64 = 0
        var memoOffset = 0
        var errorOffset = 0
        var completed = 0
        var problem: StaticString?

        init(_ facts: OutcomeFacts?) {
            guard let facts else { return }
            // The first row's step leads to it.
            task = facts.firstID &- UInt64(bitPattern: facts.idSteps[0])
            sequence = facts.firstSequence &- UInt64(bitPattern: facts.sequenceSteps[0])
        }

        /// - Parameter columns: in the order of FORMAT.md, each `stride` values behind the one before.
        @inline(__always)
        mutating func write(
            _ rows: UnsafeMutableBufferPointer<ChildBlock.Row>, _ columns: UnsafeMutablePointer<Int64>, _ stride: Int,
            hasFacts: Bool
        ) {
            for place in 0..<rows.count {
                let column = columns + place
                let raw = column[0]
                let label = column[stride]
                let length = Int(column[2 * stride])
                let kind = raw & 0xFF == raw ? OutcomeKind(rawValue: UInt8(truncatingIfNeeded: raw)) : nil
                if kind == nil { problem = "outcome kind" }
                if label < 0 || label > UInt32.max { problem = "label" }
                let isCompleted = kind == .completed
                var outcome = OutcomeRow(
                    task: 0, sequence: 0, startedAt: 0, endedAt: 0, label: UInt32(truncatingIfNeeded: label),
                    attempts: 0,
                    valueLength: UInt32(length), kind: kind ?? .completed)
                if hasFacts {
                    let attempts = column[5 * stride]
                    if attempts < 0 || attempts > UInt32.max { problem = "attempts" }
                    task &+= UInt64(bitPattern: column[3 * stride])
                    sequence &+= UInt64(bitPattern: column[4 * stride])
                    outcome.task = task
                    outcome.sequence = sequence
                    outcome.attempts = UInt32(truncatingIfNeeded: attempts)
                    outcome.endedAt = column[6 * stride]
                    outcome.startedAt = outcome.endedAt &- column[7 * stride]
                }
                rows[place] = ChildBlock.Row(outcome: outcome, valueOffset: isCompleted ? memoOffset : errorOffset)
                memoOffset += isCompleted ? length : 0
                errorOffset += isCompleted ? 0 : length
                completed += isCompleted ? 1 : 0
            }
        }
    }
}
