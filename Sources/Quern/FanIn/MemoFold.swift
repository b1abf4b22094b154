// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What memos were folded into, and the commit position up to which they were.
@usableFromInline
struct MemoFold<State: Sendable>: Sendable {
    @usableFromInline var state: State
    @usableFromInline var position: UInt64
    /// Children that were looked at, of all types and outcomes.
    @usableFromInline var children = 0

    @inlinable
    init(state: State, position: UInt64 = 0) {
        self.state = state
        self.position = position
    }

    /// Adds the memos of a block's completed children of one type.
    ///
    /// - Parameter snapshot: what the block is of.
    @inlinable
    mutating func add<T: DurableTask>(
        _ block: borrowing ChildBlock, of type: T.Type, _ labels: TypeLabels, in snapshot: ChildSnapshot,
        _ update: (inout State, T.Memo) throws -> Void
    ) throws {
        var memos: [T.Memo] = []
        try block.appendMemos(of: type, labels, in: snapshot, to: &memos)
        for memo in memos { try update(&state, memo) }
        position = block.lastSequence
        children += block.count
    }

    /// Adds what the children behind these were folded into.
    @inlinable
    mutating func append(_ other: MemoFold, _ combine: (inout State, State) throws -> Void) throws {
        try combine(&state, other.state)
        position = max(position, other.position)
        children += other.children
    }
}

extension ChildBlock {
    /// Decodes the memos of the completed children of one type, behind those that are in `memos`.
    ///
    /// - Throws: ``MemoDecodingError``.
    @usableFromInline
    func appendMemos<T: DurableTask>(
        of type: T.Type, _ labels: TypeLabels, in snapshot: ChildSnapshot, to memos: inout [T.Memo]
    ) throws {
        if let completed {
            if !labels.contains(completed.label) { return }
            if T.Memo.decodeUniform(self, into: &memos) { return }
        }
        for index in 0..<count where labels.contains(label(at: index)) && kind(at: index) == .completed {
            do { memos.append(try withValue(at: index) { try T.Memo.decodeMemo($0) }) } catch {
                throw MemoDecodingError(
                    child: try snapshot.child(index, ofBlockUpTo: lastSequence), type: T.type, cause: error)
            }
        }
    }
}

extension ChildSnapshot {
    /// The id of a child, for an error: walks over memos alone do not decode the ids.
    fileprivate func child(_ index: Int, ofBlockUpTo sequence: UInt64) throws(StoreError) -> TaskID {
        var cursor = makeCursor(columns: .facts)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            if block.lastSequence == sequence, index < block.count { return block.id(at: index) }
        }
        return .none
    }
}

/// A walk for an aggregate that goes on where an earlier attempt saved it, and knows when to save it again.
@usableFromInline
struct AggregateWalk<T: DurableTask>: Sendable {
    /// Those of the current block.
    @usableFromInline private(set) var memos: [T.Memo] = []
    private let context: FinalizeContext
    private let labels: TypeLabels
    private let name: String
    private let interval: Int
    private let snapshot: ChildSnapshot
    private var cursor: ChildCursor
    private var block = ChildBlock()
    /// Children since the last save.
    private var unsaved = 0

    @usableFromInline
    init(_ context: FinalizeContext, _ interval: Int, _ name: String?) throws {
        self.context = context
        self.interval = max(1, interval)
        self.name = name ?? T.type.name
        labels = try context.labels(of: T.self)
        snapshot = try context.children.after(try context.states().state(named: self.name)?.position ?? 0)
        cursor = snapshot.makeCursor(columns: .memos)
    }

    @usableFromInline
    func saved<State: Decodable & Sendable>(as type: State.Type) throws -> State? {
        try context.savedState(as: type, named: name)?.value
    }

    /// Goes to the next block. Returns false at the end.
    @usableFromInline
    mutating func next() throws -> Bool {
        memos.removeAll(keepingCapacity: true)
        try Task.checkCancellation()
        guard try cursor.next(into: &block) else { return false }
        try block.appendMemos(of: T.self, labels, in: snapshot, to: &memos)
        unsaved += block.count
        return true
    }

    @usableFromInline var isDue: Bool { unsaved >= interval }

    @usableFromInline
    mutating func save(_ state: some Encodable & Sendable) async throws {
        try await context.saveState(state, after: block.lastSequence, named: name)
        unsaved = 0
    }
}
