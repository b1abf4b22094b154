// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernStore
import SystemPackage

/// Writes to the store: each transaction ends what one parent has pending, spawns more, and makes an entry in the
/// ledger. Now and then a parent ends, the store is closed and opened, or the process kills itself in a commit.
struct PairWriter {
    private static let parentCount = 4

    private let directory: FilePath
    private let extent: Extent
    private var store: MemoStore
    private var random: PairRandom
    private let label: Label

    /// A live parent.
    private struct Parent {
        var ended: UInt64
        var pending: [TaskID]
    }

    private var parents: [TaskID: Parent] = [:]
    private var ledger = Parent(ended: 0, pending: [])
    /// Children of all parents but the ledger that have ended.
    private var total: UInt64 = 0

    init(directory: FilePath, extent: Extent) throws {
        self.directory = directory
        self.extent = extent
        store = try MemoStore.openBlocking(at: directory, configuration: Self.configuration)
        label = try store.labelBlocking(for: "child")
        random = PairRandom(seed: extent.seed)
        try resume()
    }

    /// So small that all files come and go all the time.
    private static var configuration: MemoStore.Configuration {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 24 << 10
        configuration.indexSegmentBytes = 32 << 10
        configuration.openBlockBytes = 8 << 10
        configuration.checkpointBytes = 40 << 10
        configuration.durability = .buffered
        return configuration
    }

    /// Learns from the store what there is.
    private mutating func resume() throws {
        var live = store.liveTasks()
        if live.runs.isEmpty {
            guard store.totals.endedRoots == 0 else { throw Wrong("the store is complete already") }
            var first = Transaction()
            for _ in 0...Self.parentCount { spawn(under: .none, into: &first) }
            try store.appendBlocking(first)
            live = store.liveTasks()
        }
        parents = [:]
        ledger = Parent(ended: 0, pending: [])
        for entry in live.runs {
            for index in 0..<Int(entry.run.count) where entry.live & 1 << UInt64(index) != 0 {
                let id = entry.run.id(at: index)
                switch entry.run.parent {
                case .none where id == PairMemo.ledger: ledger.ended = store.status(of: id)?.counts.total ?? 0
                case .none: parents[id] = Parent(ended: store.status(of: id)?.counts.total ?? 0, pending: [])
                case PairMemo.ledger: ledger.pending.append(id)
                case let parent: parents[parent]?.pending.append(id)
                }
            }
        }
        var cursor = try store.children(of: PairMemo.ledger).reversed().makeCursor()
        var block = ChildBlock()
        total = try cursor.next(into: &block) ? block.withValue(at: 0) { try PairMemo($0) }.total : 0
        random = PairRandom(seed: extent.seed &+ ledger.ended)
    }

    private func spawn(under parent: TaskID, into transaction: inout Transaction) {
        transaction.spawn(under: parent, label: label, at: Timestamp(milliseconds: 1)) {
            PairMemo(number: 0, parent: parent).append(to: &$0)
        }
    }

    private func end(_ task: TaskID, under parent: TaskID, _ memo: PairMemo, into transaction: inout Transaction) {
        transaction.end(
            .init(
                task: task, parent: parent, label: label, kind: .completed, endedAt: Timestamp(milliseconds: 2))
        ) { memo.append(to: &$0) }
    }

    // MARK: The work

    mutating func run() throws {
        while ledger.ended < extent.transactions, UInt64(Date().timeIntervalSince1970) < extent.until {
            if random.once(in: 150) {
                try store.closeBlocking()
                store = try MemoStore.openBlocking(at: directory, configuration: Self.configuration)
                try resume()
            }
            try step()
        }
        try finish()
        try store.closeBlocking()
    }

    private mutating func step() throws {
        let id = parents.keys.sorted()[Int.random(in: 0..<parents.count, using: &random)]
        let retires = random.once(in: 60)
        let spawns = retires ? 0 : Int.random(in: 1...60, using: &random)
        var transaction = Transaction()
        endPending(of: id, into: &transaction)
        for _ in 0..<spawns { spawn(under: id, into: &transaction) }
        if retires {
            end(id, under: .none, PairMemo(number: parents[id]?.ended ?? 0, parent: id), into: &transaction)
            parents[id] = nil
            spawn(under: .none, into: &transaction)
        }
        enterIntoLedger(&transaction)
        spawn(under: PairMemo.ledger, into: &transaction)
        if random.once(in: 250) { die(in: transaction) }
        let spawned = try store.appendBlocking(
            transaction, durability: random.once(in: 10) ? .synced : .buffered
        ).spawned.flatMap { $0 }.map { TaskID($0) }
        if retires {
            parents[spawned[0]] = Parent(ended: 0, pending: [])
        } else {
            parents[id]?.pending = Array(spawned.dropLast())
        }
        ledger.pending = [spawned[spawned.count - 1]]
    }

    private mutating func endPending(of id: TaskID, into transaction: inout Transaction) {
        guard var parent = parents[id] else { return }
        for task in parent.pending {
            parent.ended += 1
            total += 1
            end(task, under: id, PairMemo(number: parent.ended, parent: id), into: &transaction)
        }
        parent.pending = []
        parents[id] = parent
    }

    private mutating func enterIntoLedger(_ transaction: inout Transaction) {
        for task in ledger.pending {
            ledger.ended += 1
            end(
                task, under: PairMemo.ledger,
                PairMemo(number: ledger.ended, parent: PairMemo.ledger, total: total), into: &transaction)
        }
    }

    /// Ends everything, the ledger last: so the reader knows that it is over.
    private mutating func finish() throws {
        var transaction = Transaction()
        for id in parents.keys.sorted() {
            endPending(of: id, into: &transaction)
            end(id, under: .none, PairMemo(number: parents[id]?.ended ?? 0, parent: id), into: &transaction)
        }
        enterIntoLedger(&transaction)
        end(
            PairMemo.ledger, under: .none,
            PairMemo(number: ledger.ended, parent: PairMemo.ledger, total: total), into: &transaction)
        try store.appendBlocking(transaction, durability: .synced)
    }

    /// Kills the process while the writer thread is at a commit.
    private mutating func die(in transaction: Transaction) -> Never {
        store.enqueue(transaction, durability: .synced)
        for _ in 0..<Int.random(in: 0..<100_000, using: &random) { _ = store.pendingBytes }
        kill(getpid(), SIGKILL)
        exit(9)
    }
}
