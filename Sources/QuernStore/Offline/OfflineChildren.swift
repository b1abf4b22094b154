// SPDX-License-Identifier: Apache-2.0

/// A walk over one parent's ended children in sequence order, a block at a time. A block that is damaged is told and
/// passed over.
package struct OfflineChildren {
    package enum Item {
        /// The next children are in the block that was given.
        case block
        /// A block is damaged: as many children as it was to have are missing.
        case lost(StoreFinding, children: UInt64)
    }

    package let parent: TaskID
    /// How the children ended, as the directories say.
    package let counts: OutcomeCounts
    let blocks: [OfflineBlock]
    /// Rows of trees that were dropped.
    private let hidden: [DroppedTree]
    private let seed: UInt32
    private let columns: ChildColumns
    private var next = 0
    private var lastSequence: UInt64 = 0
    private var scratch = OfflineScratch()

    /// - Parameters:
    ///   - blocks: in the order of their first sequences.
    ///   - columns: facts are always decoded.
    init(of parent: TaskID, _ blocks: [OfflineBlock], hiding hidden: [DroppedTree], columns: ChildColumns, seed: UInt32)
    {
        self.parent = parent
        self.blocks = blocks
        self.hidden = hidden
        self.seed = seed
        self.columns = columns.union(.facts)
        var counts = blocks.reduce(into: OutcomeCounts()) { $0 += $1.entry.outcomeCounts }
        for tree in hidden where counts[tree.kind] > 0 { counts[tree.kind] -= 1 }
        self.counts = counts
    }

    /// Goes on behind a commit position, without opening blocks that lie before it.
    package mutating func skip(behind sequence: UInt64) {
        lastSequence = max(lastSequence, sequence)
        while next + 1 < blocks.count, blocks[next + 1].entry.firstSequence <= sequence { next += 1 }
    }

    /// Leaves out blocks in which nobody failed; the others come whole.
    package mutating func skipBlocksWithoutFailures() {
        while next < blocks.count, blocks[next].entry.outcomeCounts.failuresOnly.total == 0 { next += 1 }
    }

    /// Fills `block` with the next children; nil at the end. A block is never empty.
    package mutating func next(into block: inout ChildBlock) -> Item? {
        while next < blocks.count {
            let current = blocks[next]
            next += 1
            do throws(OfflineFailure) {
                try current.read(of: parent, seed: seed, columns: columns, scratch: &scratch, into: &block)
            } catch {
                return .lost(current.finding(error), children: current.entry.outcomeCounts.total)
            }
            // The same rows may be in the log and in the index, when something between them was lost.
            let known = block.rows.count { $0.outcome.sequence <= lastSequence }
            if known > 0 { block.removeFirst(known) }
            if let last = block.rows.last { lastSequence = last.outcome.sequence }
            if !hidden.isEmpty { block.removeRows(of: hidden) }
            if block.count > 0 { return .block }
        }
        return nil
    }
}

extension ChildBlock {
    /// The children that are shown, also when the block has others. Needs all columns.
    package func shownRows() -> OutcomeBlock {
        var shown = OutcomeBlock(parent: parent, root: root)
        for index in 0..<count {
            let row = rows[index].outcome
            withValue(at: index) { value in value.withUnsafeBytes { shown.append(row, value: $0) } }
            withAttachment(at: index) { bytes in
                bytes.withUnsafeBytes { shown.attachments.append($0, of: row.sequence) }
            }
        }
        return shown
    }
}

extension OfflineBlock {
    func finding(_ failure: OfflineFailure) -> StoreFinding {
        let children = "\(entry.outcomeCounts.total) children of parent \(entry.parent) are lost"
        guard case .file(let file) = place else { return StoreFinding(.damage, "", failure.reason, children) }
        return StoreFinding(.damage, file.name, at: Int(clamping: entry.offset), failure.reason, children)
    }
}
