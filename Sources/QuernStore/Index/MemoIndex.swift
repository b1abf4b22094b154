// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// All index segments of a store: where a parent's blocks are found. ``IndexWriter`` adds to it.
///
/// A value: readers and checkpoints take a copy, a handful of references, and go on without a lock.
struct MemoIndex: Sendable {
    var sealed: [SealedIndexSegment] = []
    var open: OpenIndexSegment?
    let numbers: IndexNumbers
    /// How often sealed segments were replaced: a look-up that fails may have met one that was removed.
    private(set) var replacements = 0

    init(numbers: IndexNumbers = IndexNumbers()) { self.numbers = numbers }

    /// Puts rewritten segments in the place of their neighbours.
    mutating func replace(_ inputs: [SealedIndexSegment], by outputs: [SealedIndexSegment]) {
        guard let first = inputs.first, let start = sealed.firstIndex(where: { $0.file.number == first.file.number })
        else { return }
        sealed.replaceSubrange(start..<(start + inputs.count), with: outputs)
        replacements += 1
    }

    /// Makes everything that was written durable.
    func synchronize() throws(FileError) { try open?.output.synchronize() }

    /// The blocks of a parent, in no order. A binary search in each segment, which may block on a file: hold no lock.
    ///
    /// - Parameter leaveOut: told why a segment cannot be read; throws, unless the others are wanted all the same.
    func extents(
        of parent: TaskID,
        leaveOut: (StoreError) throws(StoreError) -> Void = { (error) throws(StoreError) in throw error }
    ) throws(StoreError) -> [BlockExtent] {
        var extents: [BlockExtent] = []
        for segment in sealed {
            do throws(StoreError) {
                try segment.forEachEntry(of: parent) { extents.append(BlockExtent($0, in: segment.file)) }
            } catch { try leaveOut(error) }
        }
        if let open { extents.append(contentsOf: open.extents(of: parent)) }
        return extents
    }
}

/// Gives out the numbers of index segments, to the writer and to compactions beside it, each once.
final class IndexNumbers: Sendable {
    private let counter: Atomic<UInt32>

    init(next: UInt32 = 1) { counter = Atomic(next) }

    /// The lowest number that nobody has.
    var next: UInt32 { counter.load(ordering: .acquiring) }

    func take() -> UInt32 { counter.add(1, ordering: .acquiringAndReleasing).oldValue }
}
