// SPDX-License-Identifier: Apache-2.0

/// Everything that a store's index and memory hold of ended children at one moment, with the trees that are dropped:
/// what compactions and retention are decided on. It holds references alone.
struct IndexContents: Sendable {
    var index: MemoIndex
    /// Blocks of ended trees, and of the root tasks, that are in no segment yet.
    var memory: [OutcomeBlock]
    var dropped: DroppedTrees

    init(_ committed: Committed) {
        index = committed.index
        memory = committed.state.fullBlocks + committed.state.endedBlocks
        if let roots = committed.state.openBlocks[.none] { memory.append(roots) }
        dropped = committed.state.dropped
    }

    /// Calls `body` with each block's entry: of sealed segments with its number.
    func forEachEntry(_ body: (DirectoryEntry, _ segment: Int?) -> Void) throws(StoreError) {
        for (number, segment) in index.sealed.enumerated() {
            var walk = try DirectoryWalk(segment)
            while let entry = walk.next {
                body(entry, number)
                try walk.advance()
            }
        }
        for piece in index.open?.directory.pieces ?? [] {
            for entry in piece { body(entry, nil) }
        }
        for block in memory { body(BlockExtent(block).entry, nil) }
    }

    /// What each sealed segment holds. One pass over the directories.
    func segments() throws(StoreError) -> [CompactionPlan.Segment] {
        var result = index.sealed.map {
            CompactionPlan.Segment(bytes: $0.length, blocks: $0.entryCount, tier: $0.tier)
        }
        guard !dropped.isEmpty else { return result }
        var roots: [(entry: DirectoryEntry, segment: Int?)] = []
        try forEachEntry { entry, segment in
            if entry.parent == 0 { roots.append((entry, segment)) }
            if let segment, dropped.contains(TaskID(entry.root)) { result[segment].droppedBytes += entry.sizeInSegment }
        }
        // Of a block of root tasks a part may be dropped.
        roots.sort { $0.entry.firstSequence < $1.entry.firstSequence }
        let hidden = dropped.hiddenRows
        for (index, root) in roots.enumerated() {
            guard let segment = root.segment else { continue }
            let end = index + 1 < roots.count ? roots[index + 1].entry.firstSequence : .max
            let rows = hidden.lowerBound(of: end) - hidden.lowerBound(of: root.entry.firstSequence)
            result[segment].droppedRows += rows
            let all = max(1, Int(root.entry.outcomeCounts.total))
            result[segment].droppedBytes += root.entry.sizeInSegment * min(rows, all) / all
        }
        return result
    }

    /// The dropped trees of which nothing is left once `result` takes the place of the segments in `range`.
    func treesGone(
        after result: Compaction.Result, of range: Range<Int>
    ) throws(StoreError) -> Set<TaskID> {
        var gone = Set(
            dropped.trees.lazy.filter { $0.isRowReclaimed || result.reclaimedRows.contains($0.root) }.map(\.root))
        guard !gone.isEmpty else { return [] }
        try forEachEntry { entry, segment in
            if let segment, range.contains(segment) { return }
            gone.remove(TaskID(entry.root))
        }
        return gone
    }
}
