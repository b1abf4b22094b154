// SPDX-License-Identifier: Apache-2.0

/// For callers with threads of their own. Each call blocks its thread: never make one on the cooperative pool, whose
/// few threads all tasks of the process share, nor in an observer or a completion, for which the writer waits.
///
/// A caller that finds nothing under way writes and syncs on its own thread, which saves two changes of threads;
/// observers are then told on it too. Those who come meanwhile are written together by the store's thread, with one
/// sync. A thread that must not hold up others, for its low priority or because it may be cancelled, had better use
/// ``append(_:durability:)`` or ``enqueue(_:durability:completion:)``.
///
/// ```swift
/// let store = try MemoStore.openBlocking(at: "/var/lib/service/memos")
/// let label = try store.labelBlocking(for: "resize")
/// try store.appendBlocking(transaction)
/// try store.closeBlocking()
/// ```
///
/// Each does what its asynchronous form does, through the same core.
extension MemoStore {
    /// Commits a transaction whole or not at all; returns when its durability level is reached.
    ///
    /// While more than ``Configuration/queueBytes`` wait for the writer it blocks before its transaction joins them,
    /// first come, first served.
    ///
    /// - Throws: as ``append(_:durability:)``, but for ``StoreError/Code/cancelled``.
    @discardableResult
    public func appendBlocking(
        _ transaction: consuming Transaction, durability: Durability? = nil
    ) throws(StoreError) -> Commit {
        let handoff = Handoff<Result<Commit, StoreError>>()
        var left: Transaction? = transaction
        submit(&left, durability: durability, .ifThereIsRoom, mayWrite: true, completion: .handoff(handoff))
        if left != nil {
            let ticket = shared.queue.update { queue, _ in queue.makeTicket() }
            submit(&left, durability: durability, .whenThereIsRoom(ticket), completion: .handoff(handoff))
        }
        return try handoff.take().get()
    }

    /// The number that stands for a name, the same for the life of the store. Durable at return.
    ///
    /// - Throws: as ``label(for:)``.
    public func labelBlocking(for name: String) throws(StoreError) -> Label {
        guard let definition = try definition(of: name) else { return try definedLabel(for: name) }
        try appendBlocking(definition, durability: .synced)
        return try definedLabel(for: name)
    }

    /// Commits what was handed over, writes a checkpoint and gives the store free for the next writer.
    ///
    /// - Throws: as ``close()``.
    public func closeBlocking() throws(StoreError) {
        let handoff = Handoff<StoreError?>()
        beginClosing(handoff.give)
        if let error = handoff.take() { throw error }
    }
}
