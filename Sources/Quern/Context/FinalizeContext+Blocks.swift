// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// The fast ways to the memos: a block of children at a time, a loop of the caller's inside.
extension FinalizeContext {
    @usableFromInline
    func labels<T: DurableTask>(of type: T.Type) throws(SchedulerError) -> TypeLabels {
        try core.types.labels(of: type)
    }

    /// Calls `body` for the memo of each completed child of one type, in order. Does not suspend.
    ///
    /// - Throws: what `body` throws; ``MemoDecodingError`` at the first memo that cannot be decoded;
    ///   `CancellationError`, between blocks, when the task is cancelled; ``SchedulerError`` with `notRegistered`;
    ///   `StoreError` when the children cannot be read.
    /// - Complexity: O(children), and one decoding a memo: about a nanosecond for a ``FixedLayoutMemo``, beside what
    ///   `body` takes. Memory holds the memos of one block.
    @inlinable
    public func forEachMemo<T: DurableTask>(of type: T.Type, _ body: (T.Memo) throws -> Void) throws {
        try reduceMemos(of: type, into: ()) { _, memo in try body(memo) }
    }

    /// Folds the memos of all completed children of one type, in order. Does not suspend.
    ///
    /// ```swift
    /// let totals = try context.reduceMemos(of: ScanDirectory.self, into: Totals()) { $0.add($1) }
    /// ```
    ///
    /// - Throws: as ``forEachMemo(of:_:)``.
    /// - Complexity: as ``forEachMemo(of:_:)``.
    @inlinable
    public func reduceMemos<T: DurableTask, Result>(
        of type: T.Type, into initial: Result, _ update: (inout Result, T.Memo) throws -> Void
    ) throws -> Result {
        var source = MemoSource<T>(children: children, labels: try labels(of: type))
        var memos: [T.Memo] = []
        var result = initial
        while try source.refill(&memos) {
            for memo in memos { try update(&result, memo) }
            memos.removeAll(keepingCapacity: true)
        }
        return result
    }
}

extension ChildSnapshot {
    /// The error for a memo that cannot be read. Names the child by walking once more: walks over memos alone do not
    /// decode the ids.
    ///
    /// - Parameter position: how many children ended before it.
    @usableFromInline
    func decodingError<T: DurableTask>(
        of type: T.Type, child position: Int, cause: any Error
    ) throws(StoreError) -> MemoDecodingError {
        var cursor = makeCursor(columns: .facts)
        var block = ChildBlock()
        var start = 0
        while try cursor.next(into: &block) {
            if position < start + block.count {
                return MemoDecodingError(child: block.id(at: position - start), type: T.type, cause: cause)
            }
            start += block.count
        }
        return MemoDecodingError(child: .none, type: T.type, cause: cause)
    }
}
