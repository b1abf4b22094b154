// SPDX-License-Identifier: Apache-2.0

/// Where ended children wait until they go to an index segment (S8): in the open block of their live parent, among
/// the small blocks of parents that ended, or in a block that is ready.
extension StoreState {
    /// Adds rows to the parent's open block and hands over the blocks that are full.
    mutating func gather(_ block: OutcomeBlock, into parent: inout ParentState) {
        openBytes -= parent.openBlock.footprint
        parent.openBlock.fill(from: block, sizes: blockSizes) { fullBlocks.append($0.take()) }
        openBytes += parent.openBlock.footprint
    }

    /// Finishes a batch: parents that ended leave, their last children with them to the index; memory is kept in
    /// bounds.
    mutating func finishBatch(openLimit: Int) {
        for task in endedParents {
            guard let block = parents.removeValue(forKey: task)?.openBlock, !block.rows.isEmpty else { continue }
            if block.rawSize < blockSizes.small {
                endedBlocks.append(block)
                endedSize += block.rawSize
            } else {
                openBytes -= block.footprint
                fullBlocks.append(block)
            }
        }
        endedParents.removeAll(keepingCapacity: true)
        live.compactIfWorthwhile()
        if endedSize >= blockSizes.sharedFrame { releaseEnded() }
        if openBytes > openLimit {
            releaseEnded()
            releaseLargest(downTo: openLimit / 2)
        }
    }

    private mutating func releaseEnded() {
        for block in endedBlocks { openBytes -= block.footprint }
        fullBlocks.append(contentsOf: endedBlocks)
        endedBlocks.removeAll()
        endedSize = 0
    }

    /// Hands over what waits for more: the small blocks of ended parents, and the open block of the root tasks.
    mutating func releaseWaiting() {
        releaseEnded()
        guard let roots = parents[.none]?.openBlock.take(), !roots.rows.isEmpty else { return }
        openBytes -= roots.footprint
        fullBlocks.append(roots)
    }

    /// Releases the largest open blocks. The small ones among them will share frames, neighbours with neighbours.
    private mutating func releaseLargest(downTo limit: Int) {
        var order: [(id: TaskID, size: Int)] = []
        for parent in parents.values where !parent.openBlock.rows.isEmpty {
            order.append((parent.status.id, parent.openBlock.footprint))
        }
        order.sort { ($0.size, $0.id) > ($1.size, $1.id) }
        var rest = openBytes
        let kept = order.firstIndex { candidate in
            if rest <= limit { return true }
            rest -= candidate.size
            return false
        }
        openBytes = rest
        for (id, _) in order[..<(kept ?? order.count)].sorted(by: { $0.id < $1.id }) {
            if let block = parents[id]?.openBlock.take() { fullBlocks.append(block) }
        }
    }

    /// Takes a block of an ended parent back from a checkpoint.
    mutating func restoreEnded(_ block: OutcomeBlock) {
        openBytes += block.footprint
        endedSize += block.rawSize
        endedBlocks.append(block)
    }

    /// Takes the open block of a live parent back from a checkpoint.
    mutating func restoreOpen(_ block: OutcomeBlock) throws(DecodingFailure) {
        guard let parent = parents[block.parent], parent.openBlock.rows.isEmpty else {
            throw DecodingFailure("open block without parent")
        }
        var block = block
        block.root = parent.root
        openBytes += block.footprint
        parents[block.parent]?.openBlock = block
    }

    /// What is in memory of a parent's ended children. O(blocks that are ready or small).
    func blocks(of parent: TaskID) -> [OutcomeBlock] {
        var found = fullBlocks.filter { $0.parent == parent }
        found.append(contentsOf: endedBlocks.lazy.filter { $0.parent == parent })
        if let open = parents[parent]?.openBlock, !open.rows.isEmpty { found.append(open) }
        return found
    }
}
