// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Committing and closing from asynchronous code. ``MemoStore/submit(_:durability:_:completion:)`` is the core of these
/// and of the blocking forms.
extension MemoStore {
    /// Commits a transaction whole or not at all; returns when its durability level is reached.
    ///
    /// While more than ``Configuration/queueBytes`` wait for the writer it suspends before its transaction joins them,
    /// first come, first served.
    ///
    /// - Throws: ``StoreError/Code/rejected`` or ``StoreError/Code/tooLarge`` when the transaction breaks a rule,
    ///   ``StoreError/Code/noSpace`` when the disk is full (try again later), ``StoreError/Code/indeterminate`` when
    ///   its sync failed, ``StoreError/Code/poisoned`` after that, ``StoreError/Code/closed``;
    ///   ``StoreError/Code/cancelled`` when the caller's task is cancelled while it waits for room. A transaction that
    ///   has joined the queue is committed whatever becomes of the task.
    @discardableResult
    public func append(
        _ transaction: consuming Transaction, durability: Durability? = nil
    ) async throws(StoreError) -> Commit {
        var left: Transaction? = transaction
        // Unchecked: the core completes each transaction once, or gives it back because there is no room.
        let result = await withUnsafeContinuation { continuation in
            submit(&left, durability: durability, .ifThereIsRoom, completion: .continuation(continuation))
            if left != nil { continuation.resume(returning: nil) }
        }
        if let result { return try result.get() }
        return try await appendWhenThereIsRoom(left, durability: durability)
    }

    /// The slow path of ``append(_:durability:)``, which alone pays for a cancellation handler.
    private func appendWhenThereIsRoom(
        _ transaction: consuming Transaction?, durability: Durability?
    ) async throws(StoreError) -> Commit {
        let ticket = shared.queue.update { queue, _ in queue.makeTicket() }
        var left = transaction
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Commit, StoreError>, Never>) in
                submit(
                    &left, durability: durability, .whenThereIsRoom(ticket),
                    completion: .closure { continuation.resume(returning: $0) })
                // The handler may have run before there was anything to withdraw.
                if Task.isCancelled { withdraw(ticket) }
            }
        } onCancel: {
            withdraw(ticket)
        }
        return try result.get()
    }

    private func withdraw(_ ticket: CommitQueue.Ticket) {
        let item = shared.queue.update { queue, _ in queue.withdraw(ticket) }
        item?.completion?(.failure(StoreError(.cancelled, "cancelled while it waited for room")))
    }

    /// Commits without waiting, also when more than ``Configuration/queueBytes`` wait: see ``pendingBytes``.
    ///
    /// - Parameter completion: called once, on the writer thread, after the observer; on the caller's, before this call
    ///   returns, when the store is closed or a stage is another store's. It must be short and must not wait for the
    ///   store.
    public func enqueue(
        _ transaction: consuming Transaction, durability: Durability? = nil,
        completion: (@Sendable (Result<Commit, StoreError>) -> Void)? = nil
    ) {
        var left: Transaction? = transaction
        submit(&left, durability: durability, .always, completion: completion.map { .closure($0) })
    }

    /// Bytes of transactions that wait for the writer: what ``enqueue(_:durability:completion:)`` should keep within
    /// bounds, since it does not wait by itself. Callers that wait for room are not counted. O(1).
    public var pendingBytes: Int { shared.queue.update { queue, _ in queue.pendingBytes } }

    /// Takes a transaction to the writer and leaves nil behind; `completion` is then called once. Leaves the
    /// transaction when there is no room for it and it was not to wait for room.
    ///
    /// - Parameter mayWrite: whether the thread may block, to write the transaction by itself when it comes alone.
    func submit(
        _ transaction: inout Transaction?, durability: Durability?, _ entry: CommitQueue.Entry, mayWrite: Bool = false,
        completion: CommitCompletion?
    ) {
        guard let offered = transaction.take() else { preconditionFailure("nothing to submit") }
        for case .commitStage(let stage, _) in offered.notes where stage.store !== self {
            completion?(.failure(StoreError(.rejected, "the stage is another store's")))
            return
        }
        var item: CommitQueue.Pending? = CommitQueue.Pending(
            transaction: offered, durability: durability ?? configuration.durability, completion: completion)
        var writer: StoreWriter?
        let admission = shared.queue.update { queue, wakes in
            if mayWrite { writer = queue.lead(now: .now()) }
            if writer != nil { return CommitQueue.Admission.taken(isFirst: false) }
            let admission = queue.add(&item, entry)
            // One wake-up a batch: those who come later find the writer awake, or about to be. Who has the writer
            // sees to it.
            wakes = admission == .taken(isFirst: true) && queue.idleWriter != nil
            return admission
        }
        if writer != nil, let item {
            writer?.perform(.write([item]))
            shared.queue.withLock { $0.handBack(&writer) }
        }
        switch admission {
        case .taken, .waits: break
        case .full: transaction = item?.transaction
        case .closed: completion?(.failure(StoreError(.closed, "the store is closed")))
        }
    }

    // MARK: Labels

    /// The number that stands for a name, the same for the life of the store. Durable at return.
    /// Names are compared byte by byte in UTF-8: two spellings that Unicode calls equal are two names.
    ///
    /// - Throws: ``StoreError/Code/tooLarge`` for an empty name or one above ``Limits/nameBytes``; as
    ///   ``append(_:durability:)`` when the name is new.
    public func label(for name: String) async throws(StoreError) -> Label {
        guard let definition = try definition(of: name) else { return try definedLabel(for: name) }
        try await append(definition, durability: .synced)
        return try definedLabel(for: name)
    }

    /// What defines a name; nil when the store has it already.
    func definition(of name: String) throws(StoreError) -> Transaction? {
        guard !name.isEmpty, name.utf8.count <= Limits.nameBytes else {
            throw StoreError(.tooLarge, "a name has 1 to \(Limits.nameBytes) bytes")
        }
        if knownLabel(for: name) != nil { return nil }
        var transaction = Transaction()
        transaction.define(name)
        return transaction
    }

    func definedLabel(for name: String) throws(StoreError) -> Label {
        guard let label = knownLabel(for: name) else { throw StoreError(.rejected, "the name was not kept") }
        return label
    }

    // MARK: Closing

    /// Commits what was handed over, writes a checkpoint and gives the store free for the next writer. Commits that
    /// come later fail with ``StoreError/Code/closed``. Closing twice is no error.
    ///
    /// - Throws: why the last checkpoint could not be written, or what stopped the writer before. Everything that was
    ///   acknowledged is on disk all the same.
    public func close() async throws(StoreError) {
        let error = await withCheckedContinuation { continuation in
            beginClosing { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    /// Asks the writer to close; `completion` is called once, when it has.
    func beginClosing(_ completion: @escaping @Sendable (StoreError?) -> Void) {
        shared.throttle.stop()
        let result = shared.queue.update { queue, wakes in
            wakes = true
            return queue.close(completion)
        }
        if let result { completion(result) }
    }
}
