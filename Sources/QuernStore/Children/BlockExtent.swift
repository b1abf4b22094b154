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
    /// Rows behind those that are not shown, because their trees were dropped.
    private(set) var hiddenRows: UInt32 = 0

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
    var storedRows: Int { Int(counts.total) + Int(skippedRows) + Int(hiddenRows) }

    /// Leaves out `rows` at the front: those that were shown ended like this, the others were hidden.
    mutating func skip(_ rows: Int, counts skipped: OutcomeCounts) {
        skippedRows += UInt32(rows)
        hiddenRows -= min(hiddenRows, UInt32(rows) - UInt32(skipped.total))
        entry.subtract(skipped)
    }

    /// Leaves out rows that ended like this.
    mutating func hide(_ hidden: OutcomeCounts) {
        hiddenRows += UInt32(hidden.total)
        entry.subtract(hidden)
    }
}

extension [BlockExtent] {
    /// Takes rows of dropped trees out of the counts, and blocks out that have no other. Both are in sequence order.
    mutating func hide(_ rows: [DroppedTree]) {
        var next = 0
        for index in indices where next < rows.count {
            let end = index + 1 < count ? self[index + 1].firstSequence : .max
            var hidden = OutcomeCounts()
            while next < rows.count, rows[next].sequence < end {
                hidden[rows[next].kind] += 1
                next += 1
            }
            if hidden.total > 0 { self[index].hide(hidden) }
        }
        removeAll { $0.counts.total == 0 }
    }
}

extension DirectoryEntry {
    /// More than there are only where a file says what is not so, which is found when the block is read.
    fileprivate mutating func subtract(_ skipped: OutcomeCounts) {
        func subtract(_ skipped: UInt64, from count: inout UInt32) { count -= min(count, UInt32(clamping: skipped)) }
        subtract(skipped.completed, from: &counts.0)
        subtract(skipped.failed, from: &counts.1)
        subtract(skipped.deadLettered, from: &counts.2)
        subtract(skipped.cancelled, from: &counts.3)
        subtract(skipped.expired, from: &counts.4)
        subtract(skipped.superseded, from: &counts.5)
        subtract(skipped.dependencyFailed, from: &counts.6)
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
