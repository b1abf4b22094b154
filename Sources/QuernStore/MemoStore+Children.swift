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
        let (index, memory) = shared.committed.withLock { ($0.index, $0.state.blocks(of: parent)) }
        var extents = try index.extents(of: parent)
        for block in memory { extents.append(BlockExtent(block)) }
        // Small blocks wait for others, and may come behind later ones of their parent.
        extents.sort { $0.firstSequence < $1.firstSequence }
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
