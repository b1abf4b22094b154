// SPDX-License-Identifier: Apache-2.0

/// Where ended children wait until they go to an index segment (S8): in the open block of their live parent, among
/// the small blocks of parents that ended, or in a block that is ready.
extension StoreState {
    /// Adds rows to the parent's open block and hands over the blocks that are full.
    mutating func gather(_ block: OutcomeBlock, below root: TaskID) {
        let sizes = blockSizes
        var full: [OutcomeBlock] = []
        let (before, after) = openBlocks.modify(
            block.parent, default: OutcomeBlock(parent: block.parent, root: root)
        ) { open in
            let before = open.footprint
            open.fill(from: block, sizes: sizes) { full.append($0.take()) }
            return (before, open.footprint)
        }
        openBytes += after - before
        if after == 0 { openBlocks.removeValue(forKey: block.parent) }
        fullBlocks.append(contentsOf: full)
    }

    /// Finishes a batch: parents that ended leave, their last children with them to the index; memory is kept in
    /// bounds.
    ///
    /// - Returns: a parent that ended and has live children, which no batch leaves behind.
    @discardableResult
    mutating func finishBatch(openLimit: Int) -> TaskID? {
        var misfit: TaskID?
        for task in endedParents {
            if parents.remove(task) > 0 { misfit = task }
            guard let block = openBlocks.removeValue(forKey: task) else { continue }
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
        return misfit
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
        guard let roots = openBlocks.removeValue(forKey: .none) else { return }
        openBytes -= roots.footprint
        fullBlocks.append(roots)
    }

    /// Releases the largest open blocks. The small ones among them will share frames, neighbours with neighbours.
    private mutating func releaseLargest(downTo limit: Int) {
        var order: [(id: TaskID, size: Int)] = []
        order.reserveCapacity(openBlocks.count)
        for (parent, block) in openBlocks { order.append((parent, block.footprint)) }
        order.sort { ($0.size, $0.id) > ($1.size, $1.id) }
        var rest = openBytes
        let kept = order.firstIndex { candidate in
            if rest <= limit { return true }
            rest -= candidate.size
            return false
        }
        openBytes = rest
        for (id, _) in order[..<(kept ?? order.count)].sorted(by: { $0.id < $1.id }) {
            if let block = openBlocks.removeValue(forKey: id) { fullBlocks.append(block) }
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
        guard let root = parents.root(of: block.parent), !openBlocks.contains(block.parent) else {
            throw DecodingFailure("open block without parent")
        }
        var block = block
        block.root = root
        openBytes += block.footprint
        openBlocks[block.parent] = block
    }

    /// What is in memory of a parent's ended children. O(blocks that are ready or small).
    func blocks(of parent: TaskID) -> [OutcomeBlock] {
        var found = fullBlocks.filter { $0.parent == parent }
        found.append(contentsOf: endedBlocks.lazy.filter { $0.parent == parent })
        if let open = openBlocks[parent] { found.append(open) }
        return found
    }
}
