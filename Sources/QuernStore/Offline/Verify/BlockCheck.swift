// SPDX-License-Identifier: Apache-2.0

/// An outcome block of which everything was decoded and compared with what FORMAT.md says, column by column.
///
/// It makes no rows: that would take most of the time that a whole store takes. What it accepts
/// ``OutcomeBlockReader`` accepts too.
struct BlockCheck {
    /// Numbers of the rows in their order.
    struct Numbers {
        var first: UInt64 = 0
        var last: UInt64 = 0
        var highest: UInt64 = 0
        var lowest: UInt64 = 0
        /// Each, unless they are consecutive.
        var list: [UInt64] = []

        subscript(index: Int) -> UInt64 { list.isEmpty ? first + UInt64(index) : list[index] }

        func insert(into set: inout NumberSet) -> Bool { list.isEmpty ? set.insert(first...last) : set.insert(list) }
    }

    private(set) var parent = TaskID.none
    private(set) var root = TaskID.none
    private(set) var rows = 0
    private(set) var counts = OutcomeCounts()
    private(set) var ids = Numbers()
    private(set) var sequences = Numbers()
    private(set) var highestLabel: UInt32 = 0
    private(set) var lowestLabel: UInt32 = 0
    /// The first row that ended in failure.
    private(set) var firstFailure: Int?
    private var scratch: [UInt8] = []

    /// Decodes `bytes`, a whole block.
    mutating func read(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let (header, facts, memos, attachments) = try OutcomeBlockReader.sections(&reader)
        guard reader.isAtEnd else { throw DecodingFailure("bytes behind a block") }
        parent = TaskID(header.parent)
        root = TaskID(header.root)
        rows = header.rowCount
        let memoBytes = try decoded(header.factsCodec, facts, header.factsRaw) {
            (check, bytes) throws(DecodingFailure) in
            try check.readFacts(bytes, header)
        }
        guard header.lastSequence == sequences.last else { throw DecodingFailure("sequence of the last row") }
        guard header.sectionBytes(ofMemos: memoBytes) == header.memosRaw else {
            throw DecodingFailure("memo lengths do not add up")
        }
        if header.memosRaw > 0 {
            try decoded(header.memosCodec, memos, header.memosRaw) { (_, _) throws(DecodingFailure) in }
        }
        guard let attachments else { return }
        try decoded(attachments.codec, attachments.stored, attachments.raw) { (check, bytes) throws(DecodingFailure) in
            try check.readAttachments(bytes)
        }
    }

    private mutating func decoded<Value>(
        _ codec: FrameHeader.Codec, _ stored: UnsafeRawBufferPointer, _ raw: Int,
        _ body: (inout BlockCheck, UnsafeRawBufferPointer) throws(DecodingFailure) -> Value
    ) throws(DecodingFailure) -> Value {
        if codec == .raw { return try body(&self, stored) }
        var room: [UInt8] = []
        swap(&room, &scratch)
        defer { swap(&room, &scratch) }
        if room.count < raw { room.resize(to: raw) }
        try room.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
            try LZ4.decompress(stored, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<raw]))
        }
        return try room.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            try body(&self, UnsafeRawBufferPointer(rebasing: bytes[..<raw]))
        }
    }

    // MARK: Facts

    /// Returns how many bytes all memos have.
    private mutating func readFacts(
        _ facts: UnsafeRawBufferPointer, _ header: OutcomeBlockHeader
    ) throws(DecodingFailure) -> Int {
        let facts = try OutcomeFacts(facts, rows: rows)
        try readKinds(facts.shape.kinds, failures: header.failureCount)
        let labelRange = Self.range(of: facts.shape.labels)
        guard let lowest = UInt32(exactly: labelRange.lowerBound), let highest = UInt32(exactly: labelRange.upperBound)
        else { throw DecodingFailure("label") }
        (lowestLabel, highestLabel) = (lowest, highest)
        let tries = Self.range(of: facts.attempts)
        guard tries.lowerBound >= 0, tries.upperBound <= UInt32.max else { throw DecodingFailure("attempts") }
        try Self.read(facts.firstID, facts.idSteps, into: &ids)
        guard ids.lowest > parent.rawValue else { throw DecodingFailure("a child that is not younger than its parent") }
        try Self.read(facts.firstSequence, facts.sequenceSteps, into: &sequences)
        if let index = sequences.list.indices.dropFirst().first(where: {
            sequences.list[$0] <= sequences.list[$0 - 1]
        }) {
            throw DecodingFailure("sequence \(sequences.list[index]) out of order")
        }
        let memoBytes = try readLengths(facts.shape.lengths, facts.shape.kinds, header)
        guard try facts.shape.lengths.total(limit: Limits.frameBytes) - memoBytes == facts.errors.count else {
            throw DecodingFailure("value lengths do not add up")
        }
        return memoBytes
    }

    /// From the smallest to the largest that there is.
    private static let kinds: ClosedRange<Int64> = {
        let known = OutcomeKind.allCases.map { Int64($0.rawValue) }
        return (known.min() ?? 0)...(known.max() ?? 0)
    }()

    private mutating func readKinds(_ kinds: IntegerColumn.View, failures: Int) throws(DecodingFailure) {
        counts = OutcomeCounts()
        firstFailure = nil
        let range = Self.range(of: kinds)
        guard Self.kinds.contains(range.lowerBound), Self.kinds.contains(range.upperBound) else {
            throw DecodingFailure("an outcome of no known kind")
        }
        if kinds.isConstant {
            guard let kind = OutcomeKind(rawValue: UInt8(kinds.base)) else { throw DecodingFailure("outcome kind") }
            counts[kind] = UInt64(rows)
            if kind.isFailure { firstFailure = 0 }
        } else {
            for index in 0..<rows {
                guard let kind = OutcomeKind(rawValue: UInt8(kinds[index])) else {
                    throw DecodingFailure("outcome kind")
                }
                counts[kind] += 1
                if kind.isFailure, firstFailure == nil { firstFailure = index }
            }
        }
        guard counts.failuresOnly.total == failures else { throw DecodingFailure("count of failures") }
    }

    /// Returns how many bytes all memos have.
    private func readLengths(
        _ lengths: IntegerColumn.View, _ kinds: IntegerColumn.View, _ header: OutcomeBlockHeader
    ) throws(DecodingFailure) -> Int {
        let range = Self.range(of: lengths)
        guard range.lowerBound >= 0, range.upperBound <= Limits.valueBytes else {
            throw DecodingFailure("lengths above limit")
        }
        let completed = Int64(OutcomeKind.completed.rawValue)
        var common: Int64?
        var isCommon = true
        var total = 0
        if lengths.isConstant || counts.completed == 0 {
            common = counts.completed > 0 ? lengths.base : nil
            total = Int(counts.completed) * Int(common ?? 0)
        } else {
            for index in 0..<rows where kinds[index] == completed {
                let length = lengths[index]
                if common != nil, common != length { isCommon = false }
                common = length
                total += Int(length)
            }
        }
        let expected = isCommon ? UInt32(common ?? 0) : OutcomeBlockHeader.variableLength
        guard header.memoLength == expected else { throw DecodingFailure("length of the memos") }
        return total
    }

    private mutating func readAttachments(_ bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let lengths = try IntegerColumn.decode(count: rows, from: &reader)
        let range = Self.range(of: lengths)
        guard range.lowerBound >= 0, range.upperBound <= Limits.valueBytes,
            try lengths.total(limit: Limits.frameBytes) == reader.remaining, reader.remaining > 0
        else { throw DecodingFailure("attachment lengths do not add up") }
    }

    // MARK: Columns

    private static func range(of column: IntegerColumn.View) -> ClosedRange<Int64> {
        if column.isConstant { return column.base...column.base }
        var low = Int64.max
        var high = Int64.min
        column.visit { _, value in
            low = min(low, value)
            high = max(high, value)
        }
        return low...high
    }

    private static func read(
        _ first: UInt64, _ steps: IntegerColumn.View, into numbers: inout Numbers
    ) throws(DecodingFailure) {
        numbers.list.removeAll(keepingCapacity: true)
        numbers.first = first
        if steps.count == 1 || steps.isConstant && steps.base == 1 {
            guard first > 0, first <= Limits.number else { throw DecodingFailure("number \(first)") }
            numbers.last = first + UInt64(steps.count - 1)
            (numbers.lowest, numbers.highest) = (first, numbers.last)
        } else {
            numbers.list.reserveCapacity(steps.count)
            var value = first
            (numbers.lowest, numbers.highest) = (first, first)
            steps.visit { index, step in
                if index > 0 { value &+= UInt64(bitPattern: step) }
                numbers.list.append(value)
                numbers.lowest = min(numbers.lowest, value)
                numbers.highest = max(numbers.highest, value)
            }
            numbers.last = value
        }
        guard numbers.lowest > 0, numbers.highest <= Limits.number else {
            throw DecodingFailure("a number that nobody has")
        }
    }
}
