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
    /// - Complexity: O(children), and one decoding a memo.
    @inlinable
    public func forEachMemo<T: DurableTask>(of type: T.Type, _ body: (T.Memo) throws -> Void) throws {
        let labels = try labels(of: type)
        try forEachBlock { block, start in
            for index in 0..<block.count
            where labels.contains(block.label(at: index)) && block.kind(at: index) == .completed {
                try body(try decodeMemo(of: type, in: block, at: index, start: start))
            }
        }
    }

    /// Calls `body` for the memo of each completed child of one type, in order, read in place. Does not suspend.
    ///
    /// - Throws: as the overload for other memos.
    /// - Complexity: O(children); about a nanosecond a memo beside what `body` takes.
    @inlinable
    public func forEachMemo<T: DurableTask>(
        of type: T.Type, _ body: (T.Memo) throws -> Void
    ) throws where T.Memo: FixedLayoutMemo {
        let labels = try labels(of: type)
        try forEachBlock { block, start in
            if let uniform = block.uniform, uniform.memoLength == MemoryLayout<T.Memo>.size {
                guard labels.contains(uniform.label) else { return }
                try block.withMemos(as: T.Memo.self) { memos in
                    for index in memos.indices { try body(memos[index]) }
                }
            } else {
                for index in 0..<block.count
                where labels.contains(block.label(at: index)) && block.kind(at: index) == .completed {
                    try body(try decodeMemo(of: type, in: block, at: index, start: start))
                }
            }
        }
    }

    /// Folds the memos of all completed children of one type, in order. Does not suspend.
    ///
    /// ```swift
    /// let totals = try context.reduceMemos(of: ScanDirectory.self, into: Totals()) { $0.add($1) }
    /// ```
    ///
    /// - Throws: as `forEachMemo(of:_:)`.
    @inlinable
    public func reduceMemos<T: DurableTask, Result>(
        of type: T.Type, into initial: Result, _ update: (inout Result, T.Memo) throws -> Void
    ) throws -> Result {
        var result = initial
        try forEachMemo(of: type) { memo in try update(&result, memo) }
        return result
    }

    /// Folds the memos of all completed children of one type, in order, read in place. Does not suspend.
    ///
    /// - Throws: as `forEachMemo(of:_:)`.
    @inlinable
    public func reduceMemos<T: DurableTask, Result>(
        of type: T.Type, into initial: Result, _ update: (inout Result, T.Memo) throws -> Void
    ) throws -> Result where T.Memo: FixedLayoutMemo {
        var result = initial
        try forEachMemo(of: type) { memo in try update(&result, memo) }
        return result
    }

    /// Calls `body` with each block, and with the number of children before it.
    @inlinable
    func forEachBlock(_ body: (ChildBlock, Int) throws -> Void) throws {
        var cursor = children.makeCursor(columns: .memos)
        var block = ChildBlock()
        var start = 0
        while try cursor.next(into: &block) {
            try Task.checkCancellation()
            try body(block, start)
            start += block.count
        }
    }

    @inlinable
    func decodeMemo<T: DurableTask>(
        of type: T.Type, in block: ChildBlock, at index: Int, start: Int
    ) throws -> T.Memo {
        try block.withValue(at: index) { bytes in
            do { return try T.Memo.decodeMemo(bytes) } catch {
                throw try children.decodingError(of: type, child: start + index, cause: error)
            }
        }
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
