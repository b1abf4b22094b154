// SPDX-License-Identifier: Apache-2.0

/// A walk over a snapshot, a block at a time, in the order of its view and in constant memory.
///
/// Reads sealed and open index segments through their mappings, then what was still in memory. It may block on a page
/// that is not in memory.
public struct ChildCursor: Sendable {
    /// Mapped bytes that a walk leaves resident behind itself.
    private static let residentWindow = 1 << 20

    private let snapshot: ChildSnapshot
    private let columns: ChildColumns
    private var done = 0
    private var scratch = BlockScratch()
    private var failure: StoreError?
    /// The bytes that were walked over and are still resident.
    private var resident: (file: UInt32, bytes: Range<Int>)?

    init(snapshot: ChildSnapshot, columns: ChildColumns) {
        self.snapshot = snapshot
        self.columns = snapshot.showsFailuresOnly ? columns.subtracting(.memos) : columns
    }

    /// Decodes the next block into `block`, whose buffers are used again. Returns false at the end. A block is never
    /// empty.
    ///
    /// - Throws: ``StoreError/Code/damaged`` naming file and offset when a block is not what was written. It then
    ///   throws the same at each further call, so that rows are never left out in silence.
    /// - Complexity: O(rows of the block), those too that the view leaves out; of a view of failures O(failures), and a
    ///   glance at eight other children at a time.
    public mutating func next(into block: inout ChildBlock) throws(StoreError) -> Bool {
        if let failure { throw failure }
        guard done < snapshot.extents.count else { return false }
        let extent = extent
        let other = snapshot.earlier(at: extent)
        do throws(StoreError) {
            // Hidden rows are found by their sequences, which are facts.
            let mapping = try extent.read(
                of: other?.parent ?? snapshot.parent, snapshot.identity,
                columns: extent.hiddenRows > 0 ? columns.union(.facts) : columns,
                failuresBehind: snapshot.showsFailuresOnly ? Int(extent.skippedRows) : nil, scratch: &scratch,
                into: &block)
            if let mapping { discardBehind(extent, in: mapping) }
        } catch {
            failure = error
            block = ChildBlock()
            throw error
        }
        if extent.skippedRows > 0, !snapshot.showsFailuresOnly { block.removeFirst(Int(extent.skippedRows)) }
        if extent.hiddenRows > 0 {
            if let other { block.removeRows(of: other.leftOut) } else { block.removeRows(of: snapshot.hidden) }
        }
        if snapshot.isReversed { block.reverse() }
        done += 1
        return true
    }

    /// Goes on behind the block that could not be decoded. Returns how many children it was to show.
    mutating func passOver() -> Int {
        let missed = Int(clamping: extent.counts.total)
        failure = nil
        done += 1
        return missed
    }

    /// The next block.
    private var extent: BlockExtent {
        let extents = snapshot.extents
        return snapshot.isReversed ? extents[extents.endIndex - 1 - done] : extents[extents.startIndex + done]
    }

    /// Memory stays flat: pages that were walked over need not stay resident.
    private mutating func discardBehind(_ extent: BlockExtent, in mapping: FileMapping) {
        guard case .file(let file) = extent.place else { return }
        let bytes = extent.offset..<(extent.offset + extent.length)
        guard let walked = resident, walked.file == file.number else {
            resident = (file.number, bytes)
            return
        }
        let all = min(walked.bytes.lowerBound, bytes.lowerBound)..<max(walked.bytes.upperBound, bytes.upperBound)
        guard all.count - bytes.count >= Self.residentWindow else {
            resident = (file.number, all)
            return
        }
        mapping.discard(snapshot.isReversed ? bytes.upperBound..<all.upperBound : all.lowerBound..<bytes.lowerBound)
        resident = (file.number, bytes)
    }
}
