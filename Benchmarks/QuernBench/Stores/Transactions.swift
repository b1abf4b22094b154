// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Synchronization

/// Transactions that are made before the clock starts, so that a figure shows the store and not who feeds it.
enum Transactions {
    static let start = Timestamp(milliseconds: 1_700_000_000_000)

    /// Transactions that spawn `count` children, `size` in each, with payloads of 24 bytes like short paths.
    static func spawning(_ count: Int, under parent: TaskID, label: Label, size: Int) -> [Transaction] {
        stride(from: 0, to: count, by: size).map { first in
            var transaction = Transaction()
            for index in first..<min(first + size, count) {
                transaction.spawn(under: parent, label: label, at: start) { writer in
                    writer.append(contentsOf: "/srv/data/".utf8)
                    writer.append(contentsOf: String(10_000_000_000_000 + index).utf8)
                }
            }
            return transaction
        }
    }

    /// Transactions that end tasks, `size` in each.
    static func ending(
        _ tasks: some Collection<UInt64>, under parent: TaskID, label: Label, memos: Memos, size: Int, seed: UInt64 = 1
    ) -> [Transaction] {
        var random = SeededGenerator(seed: seed)
        var transactions: [Transaction] = []
        transactions.reserveCapacity(tasks.count / size + 1)
        var transaction = Transaction()
        for task in tasks {
            transaction.end(
                task, under: parent, label: label, milliseconds: Int64(task >> 4), memos: memos, from: &random)
            if transaction.outcomeCount == size {
                transactions.append(transaction)
                transaction = Transaction()
            }
        }
        if !transaction.isEmpty { transactions.append(transaction) }
        return transactions
    }
}

extension Transaction {
    /// Ends a task that took a few milliseconds.
    mutating func end(
        _ task: UInt64, under parent: TaskID, label: Label, milliseconds: Int64, memos: Memos,
        from random: inout SeededGenerator
    ) {
        let ended = Transactions.start.rawValue + milliseconds
        end(
            .init(
                task: TaskID(task), parent: parent, label: label, kind: .completed,
                startedAt: Timestamp(milliseconds: ended - Int64(random.below(20))),
                endedAt: Timestamp(milliseconds: ended))
        ) { memos.append(to: &$0, from: &random) }
    }
}

extension MemoStore {
    /// Commits transactions in their order with so many under way at a time.
    ///
    /// - Returns: the ids of what they spawned, in order.
    @discardableResult
    func append(
        all transactions: [Transaction], inFlight: Int, durability: Durability = .synced
    ) async throws -> [Range<UInt64>] {
        let next = Turnstile()
        return try await withThrowingTaskGroup(of: [Range<UInt64>].self) { group in
            for _ in 0..<inFlight {
                group.addTask {
                    var spawned: [Range<UInt64>] = []
                    while let index = next.pass(before: transactions.count) {
                        spawned += try await self.append(transactions[index], durability: durability).spawned
                    }
                    return spawned
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }.sorted { $0.lowerBound < $1.lowerBound }
        }
    }

    /// Spawns a root task.
    func makeParent(label: Label) async throws -> TaskID {
        var transaction = Transaction()
        transaction.spawn(under: .none, label: label, at: Transactions.start) { $0.append(contentsOf: "root".utf8) }
        return TaskID(try await append(transaction).spawned[0].lowerBound)
    }
}

/// Numbers from 0, each given to one caller.
private final class Turnstile: Sendable {
    private let next = Atomic(0)

    func pass(before end: Int) -> Int? {
        let index = next.add(1, ordering: .relaxed).oldValue
        return index < end ? index : nil
    }
}
