// SPDX-License-Identifier: Apache-2.0

/// Ended children of one parent in sequence order: a block as ``ChildCursor`` decodes it.
///
/// Use one block for a whole walk: its buffers are used again, so that a walk allocates nothing a child.
/// Indexes run from 0 to ``count`` - 1; another index is a programming error and traps.
public struct ChildBlock: Sendable {
    struct Row: Sendable, BitwiseCopyable {
        var outcome: OutcomeRow
        var valueOffset: Int
    }

    /// All that tells where in the block a commit position lies, and what is before it.
    struct Position: Sendable, BitwiseCopyable {
        var sequence: UInt64
        var kind: OutcomeKind
    }

    /// Children in the block.
    public internal(set) var count = 0
    /// Whose children they are.
    public private(set) var parent = TaskID.none
    /// The commit position up to which this block and those before it reach, whatever columns and view the walk has:
    /// give it to ``ChildSnapshot/after(_:)`` to go on behind this block another time.
    public internal(set) var lastSequence: UInt64 = 0

    /// Set when children completed, and all that did with one label and memos of one length: those memos then lie side
    /// by side, in order, whatever children ended otherwise between them.
    public internal(set) var completed: (label: Label, memoLength: Int, count: Int)?

    /// Set when all children completed, with one label and memos of one length.
    public var uniform: (label: Label, memoLength: Int)? {
        guard let completed, completed.count == count else { return nil }
        return (completed.label, completed.memoLength)
    }

    /// Empty when the walk asked for no facts and ``completed`` is set: then ``others`` are all that is to be known.
    var rows: [Row] = []
    /// Rows that did not complete, where there are no ``rows``. Of a walk over failures those that ``rows`` has.
    var others = OtherRows()
    /// Of a walk over ``ChildColumns/positions``, which has nothing else.
    var positions: [Position] = []
    @usableFromInline var memos: [UInt8] = []
    var errors: [UInt8] = []
    var attachments = Attachments()
    /// The root of the parent's tree, as far as the block tells.
    var root = TaskID.none
    /// Memo bytes in the block, decoded or not.
    var memoBytes = 0
    /// Whether the walk asked for facts: only then do the rows hold them.
    var hasFacts = false
    /// Whether it asked for attachments.
    var hasAttachments = false

    /// A block without children, for a cursor to fill.
    public init() {}

    /// Begins another block. Memos and rows stay until they are replaced, so that room for the next need not be
    /// cleared.
    mutating func reset(count: Int, parent: TaskID) {
        self.count = count
        self.parent = parent
        completed = nil
        memoBytes = 0
        others.removeAll()
        positions.removeAll(keepingCapacity: true)
        errors.removeAll(keepingCapacity: true)
        attachments.removeAll()
    }

    /// Lets `body` write all of the block's rows, of which there are `count`. What they hold before is not said.
    mutating func fillRows(_ count: Int, _ body: (UnsafeMutableBufferPointer<Row>) -> Void) {
        if rows.count > count {
            rows.removeLast(rows.count - count)
        } else if rows.count < count {
            let empty = OutcomeRow(
                task: 0, sequence: 0, startedAt: 0, endedAt: 0, label: 0, attempts: 0, valueLength: 0, kind: .completed)
            rows.append(
                contentsOf: repeatElement(Row(outcome: empty, valueOffset: 0), count: count - rows.count))
        }
        rows.withUnsafeMutableBufferPointer { body($0) }
    }

    /// How the child ended.
    public func kind(at index: Int) -> OutcomeKind {
        check(index)
        return rows.isEmpty ? others[index]?.kind ?? .completed : rows[index].outcome.kind
    }

    /// The label that the child was ended with.
    public func label(at index: Int) -> Label {
        check(index)
        if !rows.isEmpty { return Label(rawValue: rows[index].outcome.label) }
        if let other = others[index] { return Label(rawValue: other.label) }
        return completed?.label ?? Label(rawValue: 0)
    }

    /// The child's own id. Needs ``ChildColumns/facts``.
    public func id(at index: Int) -> TaskID { TaskID(fact(index).task) }

    /// The commit position of the outcome. Needs ``ChildColumns/facts``.
    public func sequence(at index: Int) -> UInt64 { fact(index).sequence }

    /// How often the child was tried. Needs ``ChildColumns/facts``.
    public func attempts(at index: Int) -> UInt32 { fact(index).attempts }

    /// When its last attempt began. Needs ``ChildColumns/facts``.
    public func startedAt(at index: Int) -> Timestamp { Timestamp(milliseconds: fact(index).startedAt) }

    /// When it ended. Needs ``ChildColumns/facts``.
    public func endedAt(at index: Int) -> Timestamp { Timestamp(milliseconds: fact(index).endedAt) }

    private func check(_ index: Int) {
        precondition(index >= 0 && index < count, "child index out of range")
    }

    private func fact(_ index: Int) -> OutcomeRow {
        check(index)
        precondition(hasFacts, "this walk was asked not to decode facts")
        return rows[index].outcome
    }

    /// The memo of a completed child, the error of another. The bytes are valid inside `body` only.
    public func withValue<Result, Failure: Error>(
        at index: Int, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        check(index)
        let length: Int
        let offset: Int
        let completed: Bool
        if rows.isEmpty {
            let place = others.place(of: index)
            if place.isOther {
                let row = others.rows[place.before]
                (length, offset, completed) = (Int(row.length), Int(row.offset), false)
            } else {
                length = self.completed?.memoLength ?? 0
                (offset, completed) = ((index - place.before) * length, true)
            }
        } else {
            let row = rows[index]
            (length, offset, completed) = (
                Int(row.outcome.valueLength), row.valueOffset, row.outcome.kind == .completed
            )
        }
        let bytes = (completed ? memos : errors).span.bytes
        precondition(offset + length <= bytes.byteCount, "this walk was asked not to decode these values")
        return try body(bytes.extracting(offset..<(offset + length)))
    }

    /// What the child left for whoever runs it again; empty when it left nothing. The bytes are valid inside `body`
    /// only. Needs ``ChildColumns/attachments``. O(log children).
    public func withAttachment<Result, Failure: Error>(
        at index: Int, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(hasAttachments, "this walk was asked not to decode attachments")
        let range = attachments.range(of: fact(index).sequence)
        return try body(attachments.bytes.span.bytes.extracting(range))
    }

    /// The memos of the completed children in place and in order, as values of a fixed layout: so many as
    /// ``completed`` says, or as the block has children when it is ``uniform``. An empty span when `completed` is nil,
    /// when the memos do not have the layout's size, and when the walk did not ask for memos. Costs nothing a child.
    @inlinable
    public func withMemos<Memo: BitwiseCopyable, Result, Failure: Error>(
        as type: Memo.Type, _ body: (Span<Memo>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let completed, completed.memoLength == MemoryLayout<Memo>.size,
            MemoryLayout<Memo>.size == MemoryLayout<Memo>.stride, MemoryLayout<Memo>.size > 0
        else { return try body([Memo]().span) }
        return try memos.withUnsafeBufferPointer { (bytes) throws(Failure) -> Result in
            try body(Span(_unsafeBytes: UnsafeRawBufferPointer(bytes)))
        }
    }
}

extension ChildBlock {
    /// The same children as rows in memory. Needs ``ChildColumns/stored``.
    func outcomeBlock() -> OutcomeBlock {
        var block = OutcomeBlock(parent: parent, root: root)
        block.rows = rows.map(\.outcome)
        block.memos = memos
        block.errors = errors
        block.attachments.append(attachments, of: block.rows)
        return block
    }
}
