// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

/// A queue with transactions that are told apart by their size.
private struct QueueTable {
    var queue: CommitQueue
    let base = Transaction().heldBytes

    init(limit: Int, batchBytes: Int = 1 << 20) { queue = CommitQueue(limit: limit, batchBytes: batchBytes) }

    func item(_ bytes: Int) -> CommitQueue.Pending {
        var transaction = Transaction()
        transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 0)) {
            $0.append(zeros: bytes - base - 8)
        }
        return .init(transaction: transaction, durability: .synced, completion: nil)
    }

    mutating func add(_ bytes: Int, _ entry: CommitQueue.Entry = .ifThereIsRoom) -> CommitQueue.Admission {
        offer(bytes, entry)
    }

    mutating func wait(_ bytes: Int) -> (CommitQueue.Ticket, CommitQueue.Admission) {
        let ticket = queue.makeTicket()
        return (ticket, offer(bytes, .whenThereIsRoom(ticket)))
    }

    /// What the queue does not keep stays with the caller.
    private mutating func offer(_ bytes: Int, _ entry: CommitQueue.Entry) -> CommitQueue.Admission {
        var offered: CommitQueue.Pending? = item(bytes)
        let admission = queue.add(&offered, entry)
        #expect((offered == nil) == (admission != .full && admission != .closed))
        return admission
    }

    /// The sizes of what is written next; nil when there is nothing.
    mutating func next() -> [Int]? {
        switch queue.next(now: MonotonicTime(nanoseconds: 0), WriterDeadlines()) {
        case .write(let items): items.map(\.bytes)
        case .close: [-1]
        case .checkpointed: [-3]
        case .run: [-4]
        case .synchronize: [-2]
        case .vouch: [-3]
        case nil: nil
        }
    }
}

@Suite("The commit queue (S2)")
struct CommitQueueTests {
    @Test("What is added is written in its order, and only the first one wakes the writer")
    func order() {
        var table = QueueTable(limit: 10_000)
        #expect(table.next() == nil)
        #expect(table.add(1000) == .taken(isFirst: true))
        #expect(table.add(1001) == .taken(isFirst: false))
        #expect(table.add(1002, .always) == .taken(isFirst: false))
        #expect(table.queue.pendingBytes == 3003)
        #expect(table.next() == [1000, 1001, 1002])
        #expect(table.queue.pendingBytes == 0)
        #expect(table.next() == nil)
        #expect(table.add(1003) == .taken(isFirst: true))
    }

    @Test("A batch ends when it is large enough, and a larger transaction makes one of its own")
    func batches() {
        var table = QueueTable(limit: 100_000, batchBytes: 2000)
        for bytes in [1000, 1000, 300, 5000, 400] { #expect(table.add(bytes) != .full) }
        #expect(table.next() == [1000, 1000])
        #expect(table.next() == [300, 5000])
        #expect(table.add(500) == .taken(isFirst: false))
        #expect(table.next() == [400, 500])
        #expect(table.next() == nil)
    }

    @Test("The bound holds back what would exceed it, but for a transaction that finds the queue empty")
    func bound() {
        var table = QueueTable(limit: 3000)
        #expect(table.add(5000) == .taken(isFirst: true))
        #expect(table.add(500) == .full)
        #expect(table.next() == [5000])
        #expect(table.add(2000) == .taken(isFirst: true))
        #expect(table.add(1000) == .taken(isFirst: false))
        #expect(table.add(500) == .full)
        #expect(table.add(500, .always) == .taken(isFirst: false))
        #expect(table.queue.pendingBytes == 3500)
    }

    @Test("Who waits for room comes in order, and nobody passes")
    func fairness() {
        var table = QueueTable(limit: 3000)
        #expect(table.add(2500) == .taken(isFirst: true))
        #expect(table.wait(2000).1 == .waits)
        #expect(table.wait(500).1 == .waits)
        // There would be room for this one, yet others were first.
        #expect(table.add(400) == .full)
        #expect(table.wait(600).1 == .waits)
        #expect(table.queue.pendingBytes == 2500)
        #expect(table.next() == [2500])
        #expect(table.queue.pendingBytes == 2500)
        #expect(table.next() == [2000, 500])
        #expect(table.next() == [600])
        #expect(table.next() == nil)
        #expect(table.wait(700).1 == .taken(isFirst: true))
    }

    @Test("One who is withdrawn is not written, and does not hold up those behind")
    func withdrawal() {
        var table = QueueTable(limit: 3000)
        #expect(table.add(2500) == .taken(isFirst: true))
        let (large, _) = table.wait(2900)
        let (small, _) = table.wait(500)
        let (last, _) = table.wait(700)
        #expect(table.queue.withdraw(large)?.bytes == 2900)
        #expect(table.queue.withdraw(large) == nil)
        // Moved in behind the one that left.
        #expect(table.queue.pendingBytes == 3000)
        #expect(table.queue.withdraw(small) == nil)
        #expect(table.next() == [2500, 500])
        #expect(table.queue.withdraw(last) == nil)
        #expect(table.next() == [700])
        let never = table.queue.makeTicket()
        #expect(table.queue.withdraw(never) == nil)
    }

    @Test(
        "Whoever is withdrawn, in whatever order, the others are written in theirs", arguments: 0..<10 as Range<UInt64>)
    func manyWithdrawals(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = QueueTable(limit: 1200)
        // By their sizes, which are all different.
        var outside: [(ticket: CommitQueue.Ticket, bytes: Int)] = []
        var expected: [Int] = []
        var written: [Int] = []
        for bytes in 1000..<3000 {
            // Tickets are not used in the order in which they were made.
            let unused = table.queue.makeTicket()
            let (ticket, admission) = table.wait(bytes)
            expected.append(bytes)
            if admission == .waits { outside.append((ticket, bytes)) }
            #expect(table.queue.withdraw(unused) == nil)
            if random.chance(1, in: 2), !outside.isEmpty {
                let other = outside.remove(at: random.below(outside.count))
                if let item = table.queue.withdraw(other.ticket) {
                    #expect(item.bytes == other.bytes)
                    expected.removeAll { $0 == other.bytes }
                }
            }
            if random.chance(1, in: 3) { written += table.next() ?? [] }
        }
        while let more = table.next() { written += more }
        let isRight = written == expected
        #expect(isRight && table.queue.waiting == 0 && table.queue.pendingBytes == 0, "seed \(seed)")
    }

    @Test("Closing takes nothing more, and writes what waits, inside and outside, before it ends")
    func closing() {
        var table = QueueTable(limit: 1000)
        #expect(table.add(1000) == .taken(isFirst: true))
        #expect(table.wait(900).1 == .waits)
        #expect(table.wait(800).1 == .waits)
        #expect(table.queue.close({ _ in }) == nil)
        #expect(table.add(100) == .closed)
        #expect(table.add(100, .always) == .closed)
        #expect(table.wait(100).1 == .closed)
        #expect(table.next() == [1000])
        #expect(table.next() == [900])
        #expect(table.next() == [800])
        #expect(table.next() == [-1])
        #expect(table.queue.didClose(nil).count == 1)
        #expect(table.queue.close({ _ in }) == .some(nil))
    }

    @Test("A sync that is due comes before the next batch, and not when closing")
    func syncDue() {
        var table = QueueTable(limit: 1000)
        _ = table.add(500)
        let due = MonotonicTime(nanoseconds: 5)
        guard case .synchronize = table.queue.next(now: due, WriterDeadlines(sync: due)) else {
            Issue.record("no sync")
            return
        }
        guard case .write = table.queue.next(now: MonotonicTime(nanoseconds: 4), WriterDeadlines(sync: due)) else {
            Issue.record("no write")
            return
        }
        table.queue.beginClosing()
        guard case .close = table.queue.next(now: due, WriterDeadlines(sync: due)) else {
            Issue.record("no close")
            return
        }
    }

    @Test("S3: a sync that is due does not wait for background work that holds up the closing")
    func syncDueWhileClosing() {
        var table = QueueTable(limit: 1000)
        let due = MonotonicTime(nanoseconds: 5)
        table.queue.beginBackground()
        table.queue.beginClosing()
        guard case .synchronize = table.queue.next(now: due, WriterDeadlines(sync: due)) else {
            Issue.record("no sync")
            return
        }
        table.queue.endBackground { _ in }
        guard case .run = table.queue.next(now: due, WriterDeadlines(sync: due)) else {
            Issue.record("no job")
            return
        }
    }

    @Test("The last batch is vouched for when the time has come and nothing waits")
    func vouchDue() {
        var table = QueueTable(limit: 1000)
        let deadlines = WriterDeadlines(vouch: MonotonicTime(nanoseconds: 5))
        #expect(deadlines.next == MonotonicTime(nanoseconds: 5))
        guard case nil = table.queue.next(now: MonotonicTime(nanoseconds: 4), deadlines) else {
            Issue.record("too early")
            return
        }
        guard case .vouch = table.queue.next(now: MonotonicTime(nanoseconds: 5), deadlines) else {
            Issue.record("no frame that vouches")
            return
        }
        _ = table.add(500)
        guard case .write = table.queue.next(now: MonotonicTime(nanoseconds: 5), deadlines) else {
            Issue.record("no write")
            return
        }
        table.queue.beginClosing()
        guard case .close = table.queue.next(now: MonotonicTime(nanoseconds: 5), deadlines) else {
            Issue.record("no close")
            return
        }
    }

    @Test(
        "In any order of events each transaction is written once or withdrawn, in order, within the bound",
        arguments: 0..<64)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let limit = 2000 + random.below(4000)
        var table = QueueTable(limit: limit, batchBytes: 1000 + random.below(2000))
        // Sizes are unique, so that they name the transactions.
        var size = 200
        var inside: [Int] = []
        var outside: [(ticket: CommitQueue.Ticket, size: Int)] = []
        func admit() {
            while let first = outside.first, inside.isEmpty || inside.reduce(0, +) + first.size <= limit {
                inside.append(first.size)
                outside.removeFirst()
            }
        }
        for step in 0..<600 {
            switch random.below(5) {
            case 0, 1:
                size += 1
                let bytes = random.chance(1, in: 20) ? size * 20 : size
                let hasRoom = outside.isEmpty && (inside.isEmpty || inside.reduce(0, +) + bytes <= limit)
                let (ticket, admission) = table.wait(bytes)
                #expect(admission == (hasRoom ? .taken(isFirst: inside.isEmpty) : .waits), "seed \(seed), step \(step)")
                if hasRoom { inside.append(bytes) } else { outside.append((ticket, bytes)) }
            case 2:
                size += 1
                let hasRoom = outside.isEmpty && (inside.isEmpty || inside.reduce(0, +) + size <= limit)
                #expect((table.add(size) != .full) == hasRoom, "seed \(seed), step \(step)")
                if hasRoom { inside.append(size) }
            case 3:
                guard !outside.isEmpty else { continue }
                let (ticket, size) = outside.remove(at: random.below(outside.count))
                #expect(table.queue.withdraw(ticket)?.bytes == size, "seed \(seed), step \(step)")
                admit()
            default:
                let written = table.next()
                #expect(written == (inside.isEmpty ? nil : Array(inside.prefix(written?.count ?? 0))))
                inside.removeFirst(written?.count ?? 0)
                admit()
            }
            #expect(table.queue.pendingBytes == inside.reduce(0, +), "seed \(seed), step \(step)")
        }
    }
}
