// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension MemoStore {
    /// A snapshot of a parent's ended children: exactly those that are committed now (S11). Use ``TaskID/none`` for the
    /// root tasks. A parent that never had children gives an empty snapshot; so does one in a tree that was dropped.
    ///
    /// It shows what was committed, at the level of each commit: with ``Durability/synced`` what is on disk.
    ///
    /// - Throws: ``StoreError/Code/damaged`` or ``StoreError/Code/inputOutput`` when a segment's directory cannot be
    ///   read.
    /// - Complexity: O(log directory) in each index segment, and O(blocks of the parent). Reads no child.
    public func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot {
        // Commits wait for this lock: it gets references alone, and what takes time follows without it.
        let places = shared.committed.withLock { $0.childPlaces(of: parent) }
        do throws(StoreError) { return try places.snapshot(shared.files.identity) } catch {
            // A compaction may have removed a file between the two.
            let replacements = shared.committed.withLock { $0.index.replacements }
            guard replacements != places.index.replacements else { throw error }
            return try children(of: parent)
        }
    }

    /// The children that ended behind a commit position: `children(of: parent).after(sequence)`.
    ///
    /// - Throws: as ``children(of:)`` and ``ChildSnapshot/after(_:)``.
    /// - Complexity: as ``children(of:)``, and at most one block is read.
    public func children(of parent: TaskID, after sequence: UInt64) throws(StoreError) -> ChildSnapshot {
        try children(of: parent).after(sequence)
    }
}
