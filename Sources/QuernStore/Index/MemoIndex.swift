// SPDX-License-Identifier: Apache-2.0

/// All index segments of a store: where a parent's blocks are found. ``IndexWriter`` adds to it.
///
/// A value: readers and checkpoints take a copy, a handful of references, and go on without a lock.
struct MemoIndex: Sendable {
    var sealed: [SealedIndexSegment] = []
    var open: OpenIndexSegment?
    var nextNumber: UInt32 = 1

    /// Makes everything that was written durable.
    func synchronize() throws(FileError) { try open?.output.synchronize() }

    /// The blocks of a parent, in no order. A binary search in each segment, which may block on a file: hold no lock.
    func extents(of parent: TaskID) throws(StoreError) -> [BlockExtent] {
        var extents: [BlockExtent] = []
        for segment in sealed {
            try segment.forEachEntry(of: parent) { extents.append(BlockExtent($0, in: segment.file)) }
        }
        if let open { extents.append(contentsOf: open.extents(of: parent)) }
        return extents
    }
}
