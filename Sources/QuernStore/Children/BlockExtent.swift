// SPDX-License-Identifier: Apache-2.0

/// Where a block of one parent's children is, and what is in it: what a snapshot keeps of it, 96 bytes.
struct BlockExtent: Sendable {
    enum Place: Sendable {
        case file(IndexFile)
        case memory(MemoryBlock)
        case encoded(EncodedBlock)
    }

    /// A block that was in no file when the snapshot was taken.
    final class MemoryBlock: Sendable {
        let block: OutcomeBlock
        init(_ block: OutcomeBlock) { self.block = block }
    }

    let place: Place
    private(set) var entry: DirectoryEntry
    /// Rows at the front that are not shown: they are before the position that a view begins behind.
    private(set) var skippedRows: UInt32 = 0

    init(_ entry: DirectoryEntry, in file: IndexFile) {
        self.entry = entry
        place = .file(file)
    }

    /// - Precondition: the block has rows.
    init(_ block: OutcomeBlock) {
        entry = DirectoryEntry(block: block, offset: 0, length: 0, bodyOffset: 0, bodyLength: 0)
        place = .memory(MemoryBlock(block))
    }

    /// A block that stays in memory, in few bytes.
    ///
    /// - Precondition: the block has rows.
    init(encoding block: OutcomeBlock, scratch: inout OutcomeBlockScratch) {
        entry = DirectoryEntry(block: block, offset: 0, length: 0, bodyOffset: 0, bodyLength: 0)
        place = .encoded(EncodedBlock(block, scratch: &scratch))
    }

    var offset: Int { Int(entry.offset) }
    var length: Int { Int(entry.length) }
    /// The commit position of its first row, shown or not.
    var firstSequence: UInt64 { entry.firstSequence }
    /// How the children that are shown ended.
    var counts: OutcomeCounts { entry.outcomeCounts }
    /// Rows that are in the block, whether shown or not: what it costs to read.
    var storedRows: Int { Int(counts.total) + Int(skippedRows) }

    /// Leaves out `rows` at the front, which ended like this.
    mutating func skip(_ rows: Int, counts skipped: OutcomeCounts) {
        skippedRows += UInt32(rows)
        entry.subtract(skipped)
    }
}

extension DirectoryEntry {
    fileprivate mutating func subtract(_ skipped: OutcomeCounts) {
        counts.0 -= UInt32(skipped.completed)
        counts.1 -= UInt32(skipped.failed)
        counts.2 -= UInt32(skipped.deadLettered)
        counts.3 -= UInt32(skipped.cancelled)
        counts.4 -= UInt32(skipped.expired)
        counts.5 -= UInt32(skipped.superseded)
        counts.6 -= UInt32(skipped.dependencyFailed)
    }
}

extension OutcomeCounts {
    static func - (left: OutcomeCounts, right: OutcomeCounts) -> OutcomeCounts {
        var result = left
        for kind in OutcomeKind.allCases { result[kind] -= right[kind] }
        return result
    }

    /// The failures alone.
    var failuresOnly: OutcomeCounts {
        var result = OutcomeCounts()
        for kind in OutcomeKind.allCases where kind.isFailure { result[kind] = self[kind] }
        return result
    }
}
