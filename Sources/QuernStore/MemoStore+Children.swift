// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension MemoStore {
    /// A snapshot of a parent's ended children: exactly those that are committed now (S11). Use ``TaskID/none`` for the
    /// root tasks. A parent that never had children gives an empty snapshot.
    ///
    /// It shows what was committed, at the level of each commit: with ``Durability/synced`` what is on disk.
    ///
    /// - Throws: ``StoreError/Code/damaged`` or ``StoreError/Code/inputOutput`` when a segment's directory cannot be
    ///   read.
    /// - Complexity: O(log directory) in each index segment, and O(blocks of the parent). Reads no child.
    public func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot {
        // Commits wait for this lock: it gets references alone, and what takes time follows without it.
        let (sealed, open, memory) = shared.committed.withLock { committed in
            var memory = committed.state.fullBlocks.filter { $0.parent == parent }
            if let block = committed.state.parents[parent]?.openBlock, !block.rows.isEmpty { memory.append(block) }
            return (committed.index.sealed, committed.index.openExtents(of: parent), memory)
        }
        var extents = try sealed.extents(of: parent)
        extents.append(contentsOf: open)
        for block in memory { extents.append(BlockExtent(block)) }
        return ChildSnapshot(parent: parent, extents: extents, identity: shared.files.identity)
    }

    /// The children that ended behind a commit position: `children(of: parent).after(sequence)`.
    ///
    /// - Throws: as ``children(of:)`` and ``ChildSnapshot/after(_:)``.
    /// - Complexity: as ``children(of:)``, and at most one block is read.
    public func children(of parent: TaskID, after sequence: UInt64) throws(StoreError) -> ChildSnapshot {
        try children(of: parent).after(sequence)
    }
}
