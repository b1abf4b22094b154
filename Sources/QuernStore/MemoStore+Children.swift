// SPDX-License-Identifier: Apache-2.0
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
        try shared.lookUp {
            $0.childPlaces(of: parent)
        } _: { (places) throws(StoreError) in
            try places.snapshot(shared.files.identity)
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
