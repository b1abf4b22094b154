// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Spawns that go to the log ahead of their transaction, so that a transaction may spawn more than fits in memory (T6).
///
/// Nobody sees them before the transaction is committed that ``Transaction/commit(_:tellingEach:)`` adds them to, and
/// then all at once, whole or not at all. Memory holds 64 bytes for up to 64 of them.
///
/// ```swift
/// let stage = store.makeStage()
/// for part in parts { try await stage.append(spawns: part) }
/// transaction.commit(stage)
/// let ids = try await store.append(transaction).staged[0]
/// ```
///
/// A stage that is released without having been committed is dropped, and so is one that a process leaves behind.
/// The log segments that it is in stay until then.
public final class SpawnStage: Sendable {
    let store: MemoStore
    let number: UInt64

    fileprivate init(_ store: MemoStore, _ number: UInt64) {
        self.store = store
        self.number = number
    }

    deinit { cancel() }

    /// Writes spawns to the log, behind those that the stage has. May be called several times at once: then which come
    /// first is open. As large as is handy: about a mebibyte of payloads costs least.
    ///
    /// Their parents must be live when the stage is committed; now they need not be.
    ///
    /// - Returns: when they are with the operating system: the commit is what makes them durable. Their positions in
    ///   the stage, a range for each stretch of consecutive spawns that share parent, label, priority, attributes and
    ///   time, in the order of the calls. A task's id is the stage's first id (``Commit/staged``) plus its position.
    /// - Throws: ``StoreError/Code/rejected`` when the transaction does more than spawn, or when the stage was
    ///   committed or cancelled; ``StoreError/Code/tooLarge`` when it would have more than ``Limits/stagedTasks``; else
    ///   as ``MemoStore/append(_:durability:)``. Then the stage has what it had before, and may go on.
    @discardableResult
    public func append(spawns: Transaction) async throws(StoreError) -> [Range<UInt64>] {
        try await store.append(try staged(spawns), durability: .buffered).spawned
    }

    /// As ``append(spawns:)``, and blocks its thread: never call it on the cooperative pool.
    @discardableResult
    public func appendBlocking(spawns: Transaction) throws(StoreError) -> [Range<UInt64>] {
        try store.appendBlocking(try staged(spawns), durability: .buffered).spawned
    }

    /// As ``append(spawns:)`` without waiting, also when there is no room: see ``MemoStore/pendingBytes``.
    ///
    /// - Parameter completion: as that of ``MemoStore/enqueue(_:durability:completion:)``.
    public func enqueue(
        spawns: Transaction, completion: @escaping @Sendable (Result<[Range<UInt64>], StoreError>) -> Void
    ) {
        do throws(StoreError) {
            store.enqueue(try staged(spawns), durability: .buffered) { completion($0.map(\.spawned)) }
        } catch { completion(.failure(error)) }
    }

    /// Drops the stage: what is in it will never be seen. Nothing happens when it was committed or dropped before.
    public func cancel() {
        var transaction = Transaction()
        transaction.abortStage(number)
        store.enqueue(transaction, durability: .buffered)
    }

    private func staged(_ spawns: Transaction) throws(StoreError) -> Transaction {
        guard spawns.outcomes.isEmpty, spawns.notes.isEmpty else {
            throw StoreError(.rejected, "only spawns can be staged")
        }
        var transaction = spawns
        transaction.stage = number
        return transaction
    }
}

extension SpawnStage: Equatable {
    public static func == (left: SpawnStage, right: SpawnStage) -> Bool { left === right }
}

extension MemoStore {
    /// Begins a stage. O(1), and writes nothing.
    public func makeStage() -> SpawnStage {
        SpawnStage(self, shared.committed.withLock { $0.state.openStage() })
    }
}

extension Transaction {
    /// Makes all that was staged visible together with the rest of the transaction. Their ids, in the order of the
    /// stage, will be in ``Commit/staged``. Takes everything whose ``SpawnStage/append(spawns:)`` has returned.
    ///
    /// The transaction is rejected when the stage was committed or cancelled, when it is another store's, or when a
    /// parent is not live or ends in this transaction. The stage is then as it was, and may be committed by another.
    ///
    /// - Parameter tellsEach: whether ``Commit/disposition(ofStaged:in:)`` is wanted, which takes memory for each spawn
    ///   whose key was taken.
    /// - Complexity: O(staged / 64), and O(keys) of those that have one: some 20 ns and 20 bytes each.
    public mutating func commit(_ stage: SpawnStage, tellingEach tellsEach: Bool = false) {
        notes.append(.commitStage(stage, tellsEach: tellsEach))
    }

    mutating func abortStage(_ number: UInt64) { notes.append(.abortStage(number)) }
}
