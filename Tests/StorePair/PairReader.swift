// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernStore
import SystemPackage

/// Reads the store while it is written, and checks at each moment that every parent's children are exactly those from 1
/// to n, and all together as many as the ledger says.
struct PairReader {
    private let directory: FilePath
    private var random = PairRandom(seed: 0)
    private var rounds = 0
    private var newRounds = 0
    /// Refreshes that found the files changed too often.
    private var changes = 0
    private var lostPayloads = 0

    /// The parents that ended, with the number of their children, up to this commit position.
    private var ended: [(id: TaskID, children: UInt64)] = []
    private var endedUpTo: UInt64 = 0
    private var endedTotal: UInt64 = 0
    private var ledgerCount: UInt64 = 0
    private var ledgerUpTo: UInt64 = 0
    private var total: UInt64 = 0

    init(directory: FilePath) { self.directory = directory }

    mutating func run() throws {
        var reader: MemoReader?
        repeat {
            rounds += 1
            reader = try next(after: rounds % 50 == 0 ? nil : reader)
        } while try reader.map({ try !check($0) }) ?? true
        print(
            "\(rounds) looks, \(newRounds) of them with something new, at \(ledgerCount) transactions that ended",
            "\(total) children of \(ended.count) parents; \(changes) times the files changed too fast,",
            "\(lostPayloads) times a payload was gone; nothing wrong or missing")
    }

    /// The reader at a later moment, or a new one. Nil when that is to be tried again.
    private mutating func next(after reader: MemoReader?) throws -> MemoReader? {
        do throws(StoreError) {
            guard let reader else { return try MemoReader.openBlocking(at: directory) }
            if try reader.refreshBlocking() { newRounds += 1 } else { sched_yield() }
            return reader
        } catch {
            if error.code == .storeChanged {
                changes += 1
                return reader
            }
            guard error.code == .notFound, ledgerCount == 0 else { throw error }
            sched_yield()
            return nil
        }
    }

    // MARK: Checking

    /// Returns whether the writer has ended.
    private mutating func check(_ reader: MemoReader) throws -> Bool {
        let live = reader.liveTasks()
        try checkEnded(reader)
        let isOver = ended.last?.id == PairMemo.ledger
        try checkLedger(reader)
        var sum = endedTotal
        for entry in live.runs where entry.run.parent == .none {
            for index in 0..<Int(entry.run.count) where entry.live & 1 << UInt64(index) != 0 {
                let id = entry.run.id(at: index)
                guard id != PairMemo.ledger else { continue }
                let count = reader.status(of: id)?.counts.completed ?? 0
                try checkChildren(of: id, in: reader, count: count)
                sum += count
            }
        }
        guard sum == total else { throw Wrong("\(sum) children, and the ledger says \(total)") }
        try checkPayloads(live, reader)
        if let old = ended.randomElement(using: &random), old.id != PairMemo.ledger {
            try checkChildren(of: old.id, in: reader, count: old.children)
        }
        return isOver
    }

    /// The parents that ended since the last look.
    private mutating func checkEnded(_ reader: MemoReader) throws {
        let roots = try reader.children(of: .none)
        guard roots.counts.total == reader.totals.endedRoots else { throw Wrong("roots that are not counted") }
        try Self.forEach(in: try roots.after(endedUpTo)) { id, sequence, memo in
            guard memo.parent == id.rawValue else { throw Wrong("the memo of another root") }
            ended.append((id, memo.number))
            endedUpTo = sequence
            guard id != PairMemo.ledger else { return }
            endedTotal += memo.number
            try checkChildren(of: id, in: reader, count: memo.number)
        }
        guard UInt64(ended.count) == roots.counts.total else {
            throw Wrong("\(roots.counts.total) roots have ended, and \(ended.count) were seen")
        }
    }

    /// The entries since the last look, and now and then all of them.
    private mutating func checkLedger(_ reader: MemoReader) throws {
        let entries = try reader.children(of: PairMemo.ledger)
        if rounds % 100 == 0 { (ledgerCount, ledgerUpTo, total) = (0, 0, 0) }
        try Self.forEach(in: try entries.after(ledgerUpTo)) { _, sequence, memo in
            ledgerCount += 1
            ledgerUpTo = sequence
            guard memo.number == ledgerCount, memo.total >= total else { throw Wrong("a gap in the ledger") }
            total = memo.total
        }
        guard entries.counts.completed == ledgerCount, entries.counts.total == ledgerCount else {
            throw Wrong("\(entries.counts.total) entries are counted, and \(ledgerCount) were read")
        }
    }

    private func checkChildren(of parent: TaskID, in reader: MemoReader, count: UInt64) throws {
        let children = try reader.children(of: parent)
        var number: UInt64 = 0
        var last = TaskID.none
        try Self.forEach(in: children) { id, _, memo in
            number += 1
            guard memo == PairMemo(number: number, parent: parent) else {
                throw Wrong("child \(number) of \(parent) says that it is child \(memo.number) of \(memo.parent)")
            }
            guard id > last else { throw Wrong("child \(id) behind child \(last)") }
            last = id
        }
        guard number == count, children.counts.total == count else {
            throw Wrong("\(parent) has \(number) children, \(children.counts.total) by count, and not \(count)")
        }
    }

    private mutating func checkPayloads(_ live: LiveTasks, _ reader: MemoReader) throws {
        guard let entry = live.runs.randomElement(using: &random) else { return }
        var isRight = true
        do throws(StoreError) {
            try reader.withPayloads(of: entry.run, indexes: entry.live) { _, bytes in
                let memo = try? PairMemo(bytes)
                if memo != PairMemo(number: 0, parent: entry.run.parent) { isRight = false }
            }
        } catch {
            guard error.code == .storeChanged else { throw error }
            lostPayloads += 1
        }
        guard isRight else { throw Wrong("another task's payload") }
    }

    private static func forEach(
        in snapshot: ChildSnapshot, _ body: (TaskID, UInt64, PairMemo) throws -> Void
    ) throws {
        var cursor = snapshot.makeCursor()
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let memo = try block.withValue(at: index) { try PairMemo($0) }
                try body(block.id(at: index), block.sequence(at: index), memo)
            }
        }
    }
}
