// SPDX-License-Identifier: Apache-2.0

/// The facts of a block in the order in which FORMAT.md has them: two numbers, eight columns, and the bytes of all
/// errors. Nothing in the columns was looked at yet.
struct OutcomeFacts {
    let firstID: UInt64
    let firstSequence: UInt64
    let shape: OutcomeShape
    /// How far each id is behind the one before.
    let idSteps: IntegerColumn.View
    let sequenceSteps: IntegerColumn.View
    let attempts: IntegerColumn.View
    let endTimes: IntegerColumn.View
    let runTimes: IntegerColumn.View
    let errors: UnsafeRawBufferPointer

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, rows: Int) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        firstID = try reader.littleEndian()
        firstSequence = try reader.littleEndian()
        shape = try OutcomeShape(&reader, rows: rows)
        idSteps = try IntegerColumn.decode(count: rows, from: &reader)
        sequenceSteps = try IntegerColumn.decode(count: rows, from: &reader)
        attempts = try IntegerColumn.decode(count: rows, from: &reader)
        endTimes = try IntegerColumn.decode(count: rows, from: &reader)
        runTimes = try IntegerColumn.decode(count: rows, from: &reader)
        errors = try reader.take(reader.remaining)
    }
}

/// The first columns of the facts: all that a walk over memos wants to know.
struct OutcomeShape {
    let kinds: IntegerColumn.View
    let labels: IntegerColumn.View
    let lengths: IntegerColumn.View

    /// Where it begins in the facts: behind the first id and the first sequence.
    static let start = 2 * 8
    /// How long the facts are up to its end when its columns have planes of so many bytes a row.
    static func end(rows: Int, planes: Int) -> Int { start + 3 * 9 + planes * rows }

    @inline(__always)
    init(_ reader: inout ByteReader, rows: Int) throws(DecodingFailure) {
        kinds = try IntegerColumn.decode(count: rows, from: &reader)
        labels = try IntegerColumn.decode(count: rows, from: &reader)
        lengths = try IntegerColumn.decode(count: rows, from: &reader)
    }

    var rows: Int { kinds.count }

    func kind(at row: Int) throws(DecodingFailure) -> OutcomeKind {
        guard let kind = UInt8(exactly: kinds[row]).flatMap(OutcomeKind.init(rawValue:)) else {
            throw DecodingFailure("outcome kind \(kinds[row])")
        }
        return kind
    }

    func label(at row: Int) throws(DecodingFailure) -> UInt32 {
        guard let label = UInt32(exactly: labels[row]) else { throw DecodingFailure("label") }
        return label
    }

    /// - Parameter before: the lengths of values before it, added up.
    func length(at row: Int, behind before: Int) throws(DecodingFailure) -> Int {
        let length = lengths[row]
        guard length >= 0, length <= Int64(Limits.frameBytes - before) else {
            throw DecodingFailure("lengths above limit")
        }
        return Int(length)
    }

    /// The first row from `start` on that did not complete; ``rows`` when there is none.
    ///
    /// - Parameter completed: a row that did.
    func firstOther(from start: Int, completed: Int) -> Int { kinds.firstDifference(from: start, to: completed) }

    /// The first row that completed.
    func firstCompleted() -> Int? {
        let completed = Int64(OutcomeKind.completed.rawValue)
        var row = 0
        while row < rows {
            if kinds[row] == completed { return row }
            // Rows that ended alike come together, or soon.
            row = kinds.firstDifference(from: row, to: row)
        }
        return nil
    }

    /// What all rows that completed have alike, and the first of them, when they have one label and one length.
    /// O(rows), eight at a time.
    func alike() throws(DecodingFailure) -> (label: UInt32, length: Int, first: Int)? {
        guard let first = firstCompleted(), areAlike(in: lengths, first), areAlike(in: labels, first) else {
            return nil
        }
        return (try label(at: first), try length(at: first, behind: 0), first)
    }

    private func areAlike(in column: IntegerColumn.View, _ first: Int) -> Bool {
        if column.isConstant { return true }
        var row = column.firstDifference(from: 0, to: first)
        while row < rows {
            if kinds[row] == kinds[first] { return false }
            row = column.firstDifference(from: row + 1, to: first)
        }
        return true
    }
}
