// SPDX-License-Identifier: Apache-2.0

/// Where the ended children of one parent are, as references alone: quickly taken under a lock, and made into a
/// snapshot without it.
struct ChildPlaces {
    let parent: TaskID
    let sealed: [SealedIndexSegment]
    let open: [BlockExtent]
    let tail: [BlockExtent]
    let blocks: [OutcomeBlock]
    let dropped: DroppedTrees

    /// Looks the parent up in the sealed segments, which may block on their files.
    func snapshot(_ identity: StoreIdentity) throws(StoreError) -> ChildSnapshot {
        var extents = try sealed.extents(of: parent)
        extents.append(contentsOf: open)
        extents.append(contentsOf: tail)
        for block in blocks { extents.append(BlockExtent(block)) }
        if let root = extents.first?.entry.root, dropped.contains(TaskID(root)) { extents = [] }
        return ChildSnapshot(
            parent: parent, extents: extents, hidden: parent == .none ? dropped.hiddenRows : [], identity: identity)
    }
}
