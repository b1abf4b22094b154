// SPDX-License-Identifier: Apache-2.0

extension ChildSnapshot {
    /// Folds all children of this view on several threads that may block, and that no other call of a store needs:
    /// bodies may take long, and may make the blocking calls of any store.
    ///
    /// The process has 64 threads for reductions, one for each that is under way, and 64 more to help them: one that
    /// finds none free waits. A cancelled one returns when its bodies have ended that are under way, at once when none
    /// is.
    ///
    /// ```swift
    /// let totals = try await children.reduce(into: Totals(), columns: .memos) { totals, block in
    ///     block.withMemos(as: Memo.self) { memos in for index in memos.indices { totals.add(memos[index]) } }
    /// } combine: { $0.add($1) }
    /// ```
    ///
    /// The view is split into parts; each is folded in order from `initial`, and the results are combined in order. So
    /// `initial` must be neutral (adding it changes nothing), and `combine` associative; it need not be commutative.
    ///
    /// - Parameters:
    ///   - columns: what to decode; leave out what `body` does not read.
    ///   - threads: how many threads read and fold at most; one for each processor when nil.
    ///   - body: adds a block to a result. It runs on several threads, on different results, and may block.
    ///   - combine: adds a result to the one of the parts before it. It runs in the caller's context.
    /// - Returns: `initial` when the view is empty.
    /// - Throws: what `body` or `combine` throws, `StoreError` as ``ChildCursor/next(into:)`` (of several errors that
    ///   of the first part) and ``StoreError/Code/noThread``, `CancellationError` when the caller's task was
    ///   cancelled before all was read.
    /// - Precondition: `threads` is nil or positive.
    /// - Complexity: O(children); memory for a block a thread and a result a part, at most four parts a thread.
    public func reduce<Result: Sendable>(
        into initial: Result, columns: ChildColumns = .all, threads: Int? = nil,
        _ body: @escaping @Sendable (inout Result, borrowing ChildBlock) throws -> Void,
        combine: (inout Result, Result) throws -> Void
    ) async throws -> Result {
        let reduction = ParallelReduction(self, initial: initial, columns: columns, threads: threads, body)
        if !isEmpty {
            try await withTaskCancellationHandler {
                try await ThreadPool.reductions.runUnlessCancelled { reduction.run() }
            } onCancel: {
                reduction.cancel()
            }
        }
        return try reduction.combined(combine)
    }

    /// Folds all children of this view on several threads, the caller's among them, and blocks it meanwhile. Never call
    /// it on the cooperative pool: use ``reduce(into:columns:threads:_:combine:)`` there, which says more.
    ///
    /// - Throws: as the asynchronous form, but for `CancellationError`.
    public func reduceBlocking<Result: Sendable>(
        into initial: Result, columns: ChildColumns = .all, threads: Int? = nil,
        _ body: @escaping @Sendable (inout Result, borrowing ChildBlock) throws -> Void,
        combine: (inout Result, Result) throws -> Void
    ) throws -> Result {
        let reduction = ParallelReduction(self, initial: initial, columns: columns, threads: threads, body)
        reduction.run()
        return try reduction.combined(combine)
    }
}
