// SPDX-License-Identifier: Apache-2.0

/// Where one block of a parent's children is in an index segment, and how they ended.
struct DirectoryEntry: Sendable, Comparable, BitwiseCopyable {
    static let size = 72

    var parent: UInt64
    /// The root of the parent's tree; 0 for root tasks.
    var root: UInt64
    /// Where the frame is in the file.
    var offset: UInt64
    var firstSequence: UInt64
    /// Children by outcome kind, completed first; with ``OutcomeKind`` raw values as one-based index.
    var counts: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)
    /// The frame's length with header and padding.
    var length: UInt32
    /// Where the block begins in the frame's body as it was before compression: not 0 where blocks share a frame.
    var bodyOffset: UInt32
    var bodyLength: UInt32

    init(block: OutcomeBlock, offset: UInt64, length: Int, bodyOffset: Int, bodyLength: Int) {
        parent = block.parent.rawValue
        root = block.root.rawValue
        self.bodyOffset = UInt32(bodyOffset)
        self.bodyLength = UInt32(bodyLength)
        self.offset = offset
        self.length = UInt32(length)
        firstSequence = block.rows[0].sequence
        var totals = OutcomeCounts()
        for row in block.rows { totals[row.kind] += 1 }
        counts = (
            UInt32(totals.completed), UInt32(totals.failed), UInt32(totals.deadLettered), UInt32(totals.cancelled),
            UInt32(totals.expired), UInt32(totals.superseded), UInt32(totals.dependencyFailed)
        )
    }

    var outcomeCounts: OutcomeCounts {
        var result = OutcomeCounts()
        result.completed = UInt64(counts.0)
        result.failed = UInt64(counts.1)
        result.deadLettered = UInt64(counts.2)
        result.cancelled = UInt64(counts.3)
        result.expired = UInt64(counts.4)
        result.superseded = UInt64(counts.5)
        result.dependencyFailed = UInt64(counts.6)
        return result
    }

    /// About what the block takes in its segment, its entry too: of a frame that several share, its part.
    var sizeInSegment: Int { Int(bodyLength) + Self.size }

    /// Whether the block lies between the file header and `end`.
    func lies(before end: UInt64) -> Bool {
        offset >= UInt64(FileHeader.size) && offset <= end && UInt64(length) <= end - offset
    }

    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: parent)
        writer.append(littleEndian: root)
        writer.append(littleEndian: offset)
        writer.append(littleEndian: firstSequence)
        for count in [counts.0, counts.1, counts.2, counts.3, counts.4, counts.5, counts.6] {
            writer.append(littleEndian: count)
        }
        writer.append(littleEndian: length)
        writer.append(littleEndian: bodyOffset)
        writer.append(littleEndian: bodyLength)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        parent = try reader.littleEndian()
        root = try reader.littleEndian()
        offset = try reader.littleEndian()
        firstSequence = try reader.littleEndian()
        counts = (
            try reader.littleEndian(), try reader.littleEndian(), try reader.littleEndian(),
            try reader.littleEndian(), try reader.littleEndian(), try reader.littleEndian(),
            try reader.littleEndian()
        )
        length = try reader.littleEndian()
        bodyOffset = try reader.littleEndian()
        bodyLength = try reader.littleEndian()
    }

    /// The order of a sealed directory: by parent, then in sequence.
    static func < (left: DirectoryEntry, right: DirectoryEntry) -> Bool {
        (left.parent, left.firstSequence) < (right.parent, right.firstSequence)
    }

    static func == (left: DirectoryEntry, right: DirectoryEntry) -> Bool {
        left.parent == right.parent && left.offset == right.offset && left.firstSequence == right.firstSequence
            && left.length == right.length && left.root == right.root && left.bodyOffset == right.bodyOffset
            && left.bodyLength == right.bodyLength && left.outcomeCounts == right.outcomeCounts
    }
}

extension OutcomeCounts {
    static func += (left: inout OutcomeCounts, right: OutcomeCounts) {
        for kind in OutcomeKind.allCases { left[kind] += right[kind] }
    }
}
