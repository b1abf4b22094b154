// SPDX-License-Identifier: Apache-2.0

/// What a compaction did.
public struct CompactionReport: Sendable, Equatable {
    /// Bytes of the segments that were rewritten, and of those that took their place: more only when something dropped
    /// was left out and the rest packs worse without it.
    public var bytesBefore = 0
    /// See ``bytesBefore``.
    public var bytesAfter = 0
    /// Segments that were rewritten.
    public var segmentsBefore = 0
    /// Segments that took their place.
    public var segmentsAfter = 0
    /// Ended tasks in them that were kept.
    public var childrenKept: UInt64 = 0
    /// Dropped trees of which nothing is left.
    public var treesReclaimed = 0

    init() {}

    init(_ round: CompactionRound) {
        for result in round.results {
            bytesBefore += result.bytesBefore
            bytesAfter += result.bytesAfter
            segmentsBefore += result.inputs.count
            segmentsAfter += result.outputs.count
            childrenKept += result.childrenKept
        }
        treesReclaimed = round.gone.count
    }
}

extension MemoStore {
    /// Gives back what dropped trees take, and merges what is small: neighbouring segments of the index that are not
    /// half full or whose blocks are small, in which each parent's children lie side by side afterwards. What is full
    /// and has nothing dropped in it stays as it is. Commits and walks go on meanwhile; snapshots keep the segments
    /// that they read.
    ///
    /// It needs as much free space as what it rewrites, until it is done; for segments in which everything is dropped
    /// none, and these go first. It may be interrupted at any moment, by a kill too: what it wrote counts with its last
    /// step alone. A checkpoint makes it durable, before it returns.
    ///
    /// - Returns: what it did; zeros when there was nothing to gain. When the disk is full, what took no space: ask
    ///   again for the rest.
    /// - Throws: ``StoreError/Code/damaged`` naming file and offset of what it found wrong in the index: that segment
    ///   is set aside (``StoreSizes/damage``), and all others were compacted all the same. So does each later call as
    ///   long as the store has that segment;
    ///   ``StoreError/Code/noSpace`` or ``StoreError/Code/inputOutput``, with nothing changed;
    ///   ``StoreError/Code/closed``.
    /// - Complexity: O(bytes of the segments that it rewrites), without an I/O budget; memory for a few blocks and a
    ///   segment's directory.
    @discardableResult
    public func compact() async throws(StoreError) -> CompactionReport {
        let result = await withCheckedContinuation { continuation in
            requestCompaction { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Compacts as ``compact()`` does, and blocks the caller's thread meanwhile.
    ///
    /// - Throws: as the asynchronous form.
    @discardableResult
    public func compactBlocking() throws(StoreError) -> CompactionReport {
        let handoff = Handoff<Result<CompactionReport, StoreError>>()
        requestCompaction(handoff.give)
        return try handoff.take().get()
    }

    /// Asks for a compaction; `completion` is called once, when it is done.
    func requestCompaction(_ completion: @escaping @Sendable (Result<CompactionReport, StoreError>) -> Void) {
        let isTaken = shared.queue.update { queue, wakes in
            wakes = true
            return queue.post { writer in writer.requestCompaction(completion) }
        }
        if !isTaken { completion(.failure(StoreError(.closed, "the store is closed"))) }
    }
}
