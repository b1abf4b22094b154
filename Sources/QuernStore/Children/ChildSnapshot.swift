// SPDX-License-Identifier: Apache-2.0

/// The outcomes of one parent's children, exactly those that were committed when it was taken (S11).
///
/// It keeps its files alive and holds where the blocks are, 40 bytes a block, never the children.
public struct ChildSnapshot: Sendable {
    public let parent: TaskID
    /// How many of its children ended how.
    public let counts: OutcomeCounts
    let extents: [BlockExtent]
    /// Blocks that were in no file when the snapshot was taken.
    let memoryBlocks: [OutcomeBlock]
    let identity: StoreIdentity

    /// A walk from the first child on. Several walks do not disturb each other.
    ///
    /// - Parameter columns: what to decode; leave out what you do not read.
    public func makeCursor(columns: ChildColumns = .all) -> ChildCursor {
        ChildCursor(snapshot: self, columns: columns)
    }
}
