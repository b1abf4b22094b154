// SPDX-License-Identifier: Apache-2.0

/// Where the ended children of one parent are, as references alone: quickly taken under a lock, and made into a
/// snapshot without it.
struct ChildPlaces {
    let parent: TaskID
    let index: MemoIndex
    let tail: [BlockExtent]
    let blocks: [OutcomeBlock]
    let dropped: DroppedTrees

    /// Looks the parent up in the index, which may block on its files.
    func snapshot(_ identity: StoreIdentity) throws(StoreError) -> ChildSnapshot {
        var extents = try index.extents(of: parent)
        extents.append(contentsOf: tail)
        for block in blocks { extents.append(BlockExtent(block)) }
        // Small blocks wait for others, and may come behind later ones of their parent.
        extents.sort { $0.firstSequence < $1.firstSequence }
        if let root = extents.first?.entry.root, dropped.contains(TaskID(root)) { extents = [] }
        return ChildSnapshot(
            parent: parent, extents: extents, hidden: parent == .none ? dropped.hiddenRows : [], identity: identity)
    }
}
