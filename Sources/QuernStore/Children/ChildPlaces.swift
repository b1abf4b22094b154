// SPDX-License-Identifier: Apache-2.0
import SystemPackage

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
        shown(sorted(try index.extents(of: parent)), identity)
    }

    /// As ``snapshot(_:)``, without what cannot be read of segments that are set aside, and with what is damaged there.
    /// Then it shows rows of dropped trees too: which rows a block has says the next one, which may be missing.
    func snapshot(
        _ identity: StoreIdentity, beside setAside: Set<FilePath>
    ) throws(StoreError) -> (shown: ChildSnapshot, damage: [StoreError]) {
        var damage: [StoreError] = []
        let extents = sorted(
            try index.extents(of: parent) { (error) throws(StoreError) in
                guard error.code == .damaged, let file = error.file, setAside.contains(file) else { throw error }
                damage.append(error)
            })
        if damage.isEmpty { return (shown(extents, identity), []) }
        return (ChildSnapshot(parent: parent, extents: extents, identity: identity), damage)
    }

    /// Without what was dropped.
    private func shown(_ all: [BlockExtent], _ identity: StoreIdentity) -> ChildSnapshot {
        let isDropped = all.first.map { dropped.contains(TaskID($0.entry.root)) } ?? false
        return ChildSnapshot(
            parent: parent, extents: isDropped ? [] : all, hidden: parent == .none ? dropped.hiddenRows : [],
            identity: identity)
    }

    /// With what is in no segment, in sequence order.
    private func sorted(_ segments: [BlockExtent]) -> [BlockExtent] {
        var extents = segments
        extents.append(contentsOf: tail)
        for block in blocks { extents.append(BlockExtent(block)) }
        // Small blocks wait for others, and may come behind later ones of their parent.
        extents.sort { $0.firstSequence < $1.firstSequence }
        return extents
    }
}
