// SPDX-License-Identifier: Apache-2.0

/// The facts of a block in the order in which FORMAT.md has them: two numbers, eight columns, and the bytes of all
/// errors. Nothing in the columns was looked at yet.
struct OutcomeFacts {
    let firstID: UInt64
    let firstSequence: UInt64
    let kinds: IntegerColumn.View
    let labels: IntegerColumn.View
    let lengths: IntegerColumn.View
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
        kinds = try IntegerColumn.decode(count: rows, from: &reader)
        labels = try IntegerColumn.decode(count: rows, from: &reader)
        lengths = try IntegerColumn.decode(count: rows, from: &reader)
        idSteps = try IntegerColumn.decode(count: rows, from: &reader)
        sequenceSteps = try IntegerColumn.decode(count: rows, from: &reader)
        attempts = try IntegerColumn.decode(count: rows, from: &reader)
        endTimes = try IntegerColumn.decode(count: rows, from: &reader)
        runTimes = try IntegerColumn.decode(count: rows, from: &reader)
        errors = try reader.take(reader.remaining)
    }
}
