// SPDX-License-Identifier: Apache-2.0

/// The outcomes of one parent's children, exactly those that were committed when it was taken (S11).
///
/// It keeps its files alive and holds where the blocks are, 96 bytes a block, never the children. Views narrow it or
/// turn it round, and can be combined:
///
/// ```swift
/// let children = try store.children(of: parent)
/// let later = try children.after(position)              // what ended behind a position
/// let lastFailures = children.failuresOnly.reversed()   // the latest failure first
/// let parts = children.split(into: 4)                   // for four threads
/// ```
///
/// | view | a block that shows nothing | reads when made |
/// |---|---|---|
/// | ``after(_:)`` | is not opened | at most one block |
/// | ``failuresOnly`` | is not opened; memos are never decompressed | nothing |
/// | ``reversed()`` | | nothing |
/// | ``split(into:)`` | | nothing |
///
/// A view is a snapshot itself: it shows the same children whatever is written meanwhile.
public struct ChildSnapshot: Sendable {
    /// Whose children they are.
    public let parent: TaskID
    /// How many of the children that this view shows ended how. Known without a scan, in every view.
    public let counts: OutcomeCounts
    /// In sequence order, also when the walk is reversed.
    let extents: ArraySlice<BlockExtent>
    /// Trees that were dropped and whose rows are still in the blocks; in a snapshot of the root tasks alone.
    let hidden: [DroppedTree]
    /// Other parents whose children come first; nearly always none.
    let earlier: [EarlierChildren]
    let identity: StoreIdentity
    let isReversed: Bool
    let showsFailuresOnly: Bool

    init(parent: TaskID, extents: [BlockExtent], hidden: [DroppedTree] = [], identity: StoreIdentity) {
        self.parent = parent
        self.hidden = hidden
        var shown = extents
        shown.hide(hidden)
        self.extents = shown[...]
        self.identity = identity
        earlier = []
        isReversed = false
        showsFailuresOnly = false
        counts = Self.total(self.extents)
    }

    /// A view of `base`.
    private init(
        _ base: ChildSnapshot, extents: ArraySlice<BlockExtent>? = nil, counts: OutcomeCounts? = nil,
        earlier: [EarlierChildren]? = nil, isReversed: Bool? = nil, showsFailuresOnly: Bool? = nil
    ) {
        parent = base.parent
        hidden = base.hidden
        self.earlier = earlier ?? base.earlier
        identity = base.identity
        self.extents = extents ?? base.extents
        self.counts = counts ?? base.counts
        self.isReversed = isReversed ?? base.isReversed
        self.showsFailuresOnly = showsFailuresOnly ?? base.showsFailuresOnly
    }

    /// How many children this view shows. O(1).
    public var count: Int { Int(clamping: counts.total) }

    /// Whether this view shows no child. O(1).
    public var isEmpty: Bool { extents.isEmpty }

    /// A walk over the children in this view's order. Several walks do not disturb each other.
    ///
    /// - Parameter columns: what to decode; leave out what you do not read.
    public func makeCursor(columns: ChildColumns = .all) -> ChildCursor {
        ChildCursor(snapshot: self, columns: columns)
    }

    // MARK: Views

    /// Only the children that ended behind a commit position: to go on where an earlier walk stopped, at the
    /// ``ChildBlock/lastSequence`` of its last block, say. In a reversed view it is where the walk ends.
    ///
    /// - Throws: ``StoreError/Code/damaged`` or ``StoreError/Code/inputOutput`` when the block that the position lies
    ///   in cannot be read.
    /// - Complexity: O(log blocks) to the first block, of which the facts are read to count what is before the
    ///   position; then a sum over the blocks that are left, without reading them.
    public func after(_ sequence: UInt64) throws(StoreError) -> ChildSnapshot {
        let behind = extents.partition { $0.firstSequence > sequence }
        guard behind > extents.startIndex else { return self }
        // Blocks do not overlap: of those that begin at or before the position only the last may reach behind it.
        var rest = extents[behind...]
        let last = try cut(extents[behind - 1], after: sequence)
        if shown(last.counts).total > 0 {
            rest = extents[(behind - 1)...]
            rest[rest.startIndex] = last
        }
        return ChildSnapshot(self, extents: rest, counts: shown(Self.total(rest)))
    }

    /// Only the block that a commit position lies in, if in any, with all its children. O(log blocks).
    func block(holding sequence: UInt64) -> ChildSnapshot {
        let behind = extents.partition { $0.firstSequence > sequence }
        return portion(extents[max(behind - 1, extents.startIndex)..<behind])
    }

    /// The extent without the rows up to a position.
    private func cut(_ extent: BlockExtent, after sequence: UInt64) throws(StoreError) -> BlockExtent {
        var block = ChildBlock()
        var scratch = BlockScratch()
        let other = earlier(at: extent)
        _ = try extent.read(
            of: other?.parent ?? parent, identity, columns: .positions, scratch: &scratch, into: &block)
        var skipped = OutcomeCounts()
        var index = Int(extent.skippedRows)
        while index < block.positions.count, block.positions[index].sequence <= sequence {
            let row = block.positions[index]
            let isHidden = other?.leftOut.contains(row.kind) ?? hidden.contains(sequence: row.sequence)
            if !isHidden { skipped[row.kind] += 1 }
            index += 1
        }
        var result = extent
        result.skip(index - Int(extent.skippedRows), counts: skipped)
        return result
    }

    /// Only the children that ended in failure (see ``OutcomeKind/isFailure``). Blocks without one are not opened, and
    /// memos are never decompressed, whatever columns a walk asks for.
    ///
    /// - Complexity: O(blocks). Reads nothing.
    public var failuresOnly: ChildSnapshot {
        if showsFailuresOnly { return self }
        return ChildSnapshot(
            self, extents: extents.filter { $0.counts.failures > 0 }[...], counts: counts.failuresOnly,
            showsFailuresOnly: true)
    }

    /// The same children, the last first. O(1).
    public func reversed() -> ChildSnapshot { ChildSnapshot(self, isReversed: !isReversed) }

    /// Parts of this view for several threads: in its order, disjoint, complete, each of whole blocks with about as
    /// many rows to read, and none empty. There are fewer than `count` when there are not enough blocks: an index block
    /// has up to 64 KiB of memos. An empty view has no parts.
    ///
    /// - Precondition: `count` is positive.
    /// - Complexity: O(blocks). Reads nothing.
    public func split(into count: Int) -> [ChildSnapshot] {
        precondition(count > 0, "a view is split into at least one part")
        let rows = extents.reduce(into: 0) { $0 += $1.storedRows }
        var parts: [ChildSnapshot] = []
        var start = extents.startIndex
        var before = 0
        var part = 0
        for index in extents.indices {
            // A block belongs to the part in which its middle lies.
            let stored = extents[index].storedRows
            let place = Int((Double(before) + Double(stored) / 2) / Double(rows) * Double(count))
            if place != part {
                if index > start { parts.append(portion(extents[start..<index])) }
                start = index
                part = place
            }
            before += stored
        }
        if start < extents.endIndex { parts.append(portion(extents[start...])) }
        return isReversed ? parts.reversed() : parts
    }

    private func portion(_ extents: ArraySlice<BlockExtent>) -> ChildSnapshot {
        ChildSnapshot(self, extents: extents, counts: shown(Self.total(extents)))
    }

    /// Whether its last block was in no file when the snapshot was taken. For tests.
    var endsInMemory: Bool {
        if case .memory? = extents.last?.place { true } else { false }
    }

    // MARK: Children of several parents

    /// The children of another parent, and behind them these: for a task that took another one's place. Both must be
    /// views of all children, in order, of one store.
    ///
    /// - Parameter kinds: children of that parent that ended like this are left out.
    /// - Returns: nil unless all that the other parent's view shows ended before these.
    /// - Complexity: O(blocks). Reads nothing.
    package func preceded(by other: ChildSnapshot, leavingOut kinds: [OutcomeKind]) -> ChildSnapshot? {
        let first = extents.first?.firstSequence ?? .max
        guard !isReversed, !showsFailuresOnly, earlier.isEmpty, !other.isReversed, !other.showsFailuresOnly,
            hidden.isEmpty, other.hidden.isEmpty, other.extents.last.map({ $0.firstSequence < first }) ?? true
        else { return nil }
        var all = Array(other.extents)
        for index in all.indices where other.earlier(at: all[index]) == nil {
            var left = OutcomeCounts()
            for kind in kinds { left[kind] = all[index].counts[kind] }
            all[index].hide(left)
        }
        all.removeAll { $0.counts.total == 0 }
        all += extents
        var earlier = other.earlier.map {
            EarlierChildren(parent: $0.parent, end: min($0.end, first), leftOut: $0.leftOut)
        }
        earlier.append(EarlierChildren(parent: other.parent, end: first, leftOut: kinds))
        return ChildSnapshot(self, extents: all[...], counts: Self.total(all[...]), earlier: earlier)
    }

    /// Whose children a block has, when they are another parent's.
    func earlier(at extent: BlockExtent) -> EarlierChildren? {
        if earlier.isEmpty { return nil }
        return earlier.first { extent.firstSequence < $0.end }
    }

    // MARK: Counting

    private static func total(_ extents: ArraySlice<BlockExtent>) -> OutcomeCounts {
        extents.reduce(into: OutcomeCounts()) { $0 += $1.counts }
    }

    private func shown(_ counts: OutcomeCounts) -> OutcomeCounts { showsFailuresOnly ? counts.failuresOnly : counts }
}

/// Another parent whose children a snapshot shows before its own.
struct EarlierChildren: Sendable {
    var parent: TaskID
    /// Its blocks begin before this position, those that come later at or behind it.
    var end: UInt64
    /// Children that ended like this are not shown.
    var leftOut: [OutcomeKind]
}
