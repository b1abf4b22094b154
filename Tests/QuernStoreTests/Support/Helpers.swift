// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

@testable import QuernStore

/// A value behind a lock.
final class MutexBox<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    var value: Value { mutex.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}

extension MemoStore {
    /// Opens a store for the transactions below: a new one gets names for the labels 1 to 3.
    static func labelled(
        at directory: FilePath, configuration: Configuration = Configuration(),
        fileSystem: any FileSystem = PosixFileSystem()
    ) async throws(StoreError) -> MemoStore {
        let store = try await open(at: directory, configuration: configuration, fileSystem: fileSystem)
        if store.recovery.created { try await store.append(.namingLabels) }
        return store
    }

    static func labelledBlocking(
        at directory: FilePath, configuration: Configuration = Configuration(),
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws(StoreError) -> MemoStore {
        let store = try openBlocking(at: directory, configuration: configuration, fileSystem: fileSystem)
        if store.recovery.created { try store.appendBlocking(.namingLabels) }
        return store
    }

    /// Why a transaction was not committed, or nil when it was.
    func failure(of transaction: Transaction, durability: Durability? = nil) async -> StoreError? {
        do throws(StoreError) {
            try await append(transaction, durability: durability)
            return nil
        } catch { return error }
    }

    /// Returns when the writer thread is done with the checkpoint that may follow a commit.
    func settle() async { _ = await failure(of: Transaction()) }

    /// Commits transactions as one batch: they are handed over while the writer thread is kept busy.
    func appendTogether(_ transactions: [Transaction]) async -> [Result<Commit, StoreError>] {
        let results = MutexBox<[Int: Result<Commit, StoreError>]>([:])
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            enqueue(Transaction()) { _ in
                for (index, transaction) in transactions.enumerated() {
                    self.enqueue(transaction) { result in
                        results.change { $0[index] = result }
                        if index == transactions.count - 1 { continuation.resume() }
                    }
                }
            }
        }
        let found = results.value
        return transactions.indices.compactMap { found[$0] }
    }
}

extension MemoStore.Configuration {
    /// The log's bytes follow from the transactions alone: no zeros ahead of it, no frame that comes with time. No
    /// other file than those of the format is there.
    static var exactLog: Self {
        var configuration = Self()
        configuration.logReserveBytes = 0
        configuration.reserveBytes = 0
        configuration.vouchDelay = nil
        return configuration
    }
}

extension Result where Failure == StoreError {
    var code: StoreError.Code? {
        if case .failure(let error) = self { return error.code }
        return nil
    }
}

extension Transaction.Outcome {
    /// A completed child with few facts.
    init(_ task: UInt64, under parent: UInt64, _ kind: OutcomeKind = .completed) {
        self.init(
            task: TaskID(task), parent: TaskID(parent), label: Label(rawValue: 1), kind: kind,
            endedAt: Timestamp(milliseconds: 1000))
    }
}

extension Transaction {
    static var namingLabels: Transaction {
        var transaction = Transaction()
        for name in ["first", "second", "third"] { transaction.define(name) }
        return transaction
    }

    /// A transaction that spawns tasks with small payloads.
    static func spawning(_ count: Int, under parent: UInt64 = 0) -> Transaction {
        var transaction = Transaction()
        transaction.addSpawns(count, under: parent)
        return transaction
    }

    mutating func addSpawns(_ count: Int, under parent: UInt64 = 0) {
        for index in 0..<count {
            spawn(under: TaskID(parent), label: Label(rawValue: 1), at: Timestamp(milliseconds: 5)) {
                $0.append(littleEndian: UInt32(index))
            }
        }
    }

    /// A transaction that ends tasks with memos of eight bytes.
    static func ending(_ tasks: some Sequence<UInt64>, under parent: UInt64) -> Transaction {
        var transaction = Transaction()
        for task in tasks { transaction.end(.init(task, under: parent)) { $0.append(littleEndian: task) } }
        return transaction
    }
}

extension Manifest {
    /// The whole file.
    func encoded() -> [UInt8] { header.encoded() + encodedFrame() }
}
