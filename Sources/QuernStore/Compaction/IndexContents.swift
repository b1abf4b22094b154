// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Everything that a store's index and memory hold of ended children at one moment, with the trees that are dropped:
/// what compactions and retention are decided on. It holds references alone.
struct IndexContents: Sendable {
    var index: MemoIndex
    /// Blocks of ended trees, and of the root tasks, that are in no segment yet.
    var memory: [OutcomeBlock]
    var dropped: DroppedTrees
    /// Segments that are damaged. Their directories count as far as they can be read.
    var setAside: Set<FilePath>

    init(_ committed: Committed, setAside: Set<FilePath>) {
        self.setAside = setAside
        index = committed.index
        memory = committed.state.fullBlocks + committed.state.endedBlocks
        if let roots = committed.state.openBlocks[.none] { memory.append(roots) }
        dropped = committed.state.dropped
    }

    /// Calls `body` with each block's entry: of sealed segments with its place among them. Returns whether these were
    /// all: not when a segment that was set aside has no directory any more.
    @discardableResult
    func forEachEntry(_ body: (DirectoryEntry, _ segment: Int?) -> Void) throws(StoreError) -> Bool {
        var isComplete = true
        for (place, segment) in index.sealed.enumerated() {
            do throws(StoreError) {
                var walk = try DirectoryWalk(segment)
                while let entry = walk.next {
                    body(entry, place)
                    try walk.advance()
                }
            } catch {
                guard error.code == .damaged, setAside.contains(segment.file.path) else { throw error }
                isComplete = false
            }
        }
        for piece in index.open?.directory.pieces ?? [] {
            for entry in piece { body(entry, nil) }
        }
        for block in memory { body(BlockExtent(block).entry, nil) }
        return isComplete
    }

    /// What each sealed segment holds. One pass over the directories.
    func segments() throws(StoreError) -> [CompactionPlan.Segment] {
        var result = index.sealed.map {
            CompactionPlan.Segment(
                bytes: $0.length, blocks: $0.entryCount, tier: $0.tier, isFixed: setAside.contains($0.file.path))
        }
        guard !dropped.isEmpty else { return result }
        var roots: [(entry: DirectoryEntry, segment: Int?)] = []
        let isComplete = try forEachEntry { entry, segment in
            if entry.parent == 0 { roots.append((entry, segment)) }
            if let segment, dropped.contains(TaskID(entry.root)) {
                result[segment].droppedBytes += entry.sizeInSegment
                result[segment].droppedBlocks += 1
            }
        }
        // Which rows a block of root tasks has says the next one, which may be missing.
        guard isComplete else { return result }
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

    /// The dropped trees of which nothing is left, of those whose own rows are gone; `reclaimed` are so too.
    func treesGone(reclaimed: Set<TaskID>) throws(StoreError) -> Set<TaskID> {
        var gone = Set(dropped.trees.lazy.filter { $0.isRowReclaimed || reclaimed.contains($0.root) }.map(\.root))
        guard !gone.isEmpty else { return [] }
        let isComplete = try forEachEntry { entry, _ in gone.remove(TaskID(entry.root)) }
        return isComplete ? gone : []
    }
}
