// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The transactions that wait for the writer: while one batch syncs, the next gathers here (S2). So does the writer
/// itself while nothing waits.
///
/// It is bounded in bytes. Who would exceed the bound waits outside, first come, first in: the transaction itself waits
/// and moves in as soon as the writer made room, so that its caller is woken once, when it is committed, and no wake-up
/// between the two can be lost.
///
/// A plain value behind the store's monitor.
struct CommitQueue: Sendable {
    struct Pending: Sendable {
        var transaction: Transaction
        var durability: Durability
        var completion: CommitCompletion?
        var bytes: Int { transaction.heldBytes }
    }

    enum Work {
        /// Write these, in this order.
        case write([Pending])
        /// Something else that the writer alone may do.
        case run(Job)
        /// The oldest commit of an interval level is due to be synced.
        case synchronize
        /// A checkpoint that was written beside the writer has ended.
        case checkpointed(Result<CheckpointJob.Outcome, StoreError>)
        /// Nothing waits, and the log's last batch needs a frame that vouches for it.
        case vouch
        /// Nothing is left and nothing will come: close. Said once.
        case close
    }

    /// What others ask the writer to do between two batches.
    typealias Job = @Sendable (inout StoreWriter) -> Void

    /// Names a transaction that waits for room.
    struct Ticket: Sendable, Hashable {
        fileprivate var number: UInt64
    }

    /// What becomes of a transaction that exceeds the bound.
    enum Entry: Sendable {
        /// It is taken all the same.
        case always
        /// It is not taken.
        case ifThereIsRoom
        /// It waits outside until there is room, or until it is withdrawn by its ticket.
        case whenThereIsRoom(Ticket)
    }

    enum Admission: Equatable {
        /// It will be written; wake the writer when it is the first.
        case taken(isFirst: Bool)
        /// It waits for room.
        case waits
        /// There is no room.
        case full
        /// The store is closing.
        case closed
    }

    private struct Gathering: Sendable {
        var items: [Pending] = []
        var bytes = 0
    }

    /// How many bytes may wait for the writer. A transaction that is larger still passes when none waits.
    var limit: Int
    /// Bytes of the transactions that wait for the writer, those outside not counted.
    private(set) var pendingBytes = 0
    /// How many wait outside for room.
    var waiting: Int { outside.count }
    private(set) var isClosing = false
    private(set) var isClosed = false
    private var wasToldToClose = false

    /// What is written at a time.
    private let batchBytes: Int
    /// Batches in the order in which they are written; the last one gathers.
    private var batches: [Gathering] = []
    private var lastBatchCount = 0
    private var outside: [Ticket: Pending] = [:]
    /// The tickets of those outside, in the order in which they came, and of those who were withdrawn.
    private var order: Deque<Ticket> = []
    private var nextTicket: UInt64 = 0
    private var jobs: [Job] = []
    /// Background work that has not handed in its result.
    private var background = 0
    private var endedCheckpoint: Result<CheckpointJob.Outcome, StoreError>?
    private var closers: [@Sendable (StoreError?) -> Void] = []
    private var closeError: StoreError?
    /// The writer, while nobody has it.
    var idleWriter: StoreWriter?
    /// When the writer's thread wakes by itself; nil when it sleeps until it is woken.
    private var threadWakesAt: MonotonicTime?

    init(limit: Int = MemoStore.Configuration().queueBytes, batchBytes: Int = Limits.batchBytes) {
        self.limit = limit
        self.batchBytes = batchBytes
    }

    // MARK: Callers

    /// Takes a transaction and leaves nil behind, or says why not. O(1) but for the growth of arrays.
    mutating func add(_ offered: inout Pending?, _ entry: Entry = .always) -> Admission {
        if isClosing { return .closed }
        guard let bytes = offered?.bytes else { preconditionFailure("nothing to add") }
        // Nobody passes those who wait: but for `always`, which must not wait itself.
        if case .always = entry { return take(&offered, bytes: bytes) }
        if order.isEmpty, hasRoom(for: bytes) { return take(&offered, bytes: bytes) }
        guard case .whenThereIsRoom(let ticket) = entry else { return .full }
        outside[ticket] = offered.take()
        order.append(ticket)
        return .waits
    }

    /// A name for a transaction that is to wait for room.
    mutating func makeTicket() -> Ticket {
        nextTicket += 1
        return Ticket(number: nextTicket)
    }

    /// Takes back a transaction that waits for room; nil when it was taken, or never came. O(1) but for those
    /// whom it held up.
    mutating func withdraw(_ ticket: Ticket) -> Pending? {
        guard let item = outside.removeValue(forKey: ticket) else { return nil }
        // It may have held up smaller ones.
        admit()
        return item
    }

    /// Gives the writer to a caller that comes alone, for its transaction: two changes of threads take a third of a
    /// small commit. Nil when the transaction must be added to the queue.
    ///
    /// Behind a batch of several transactions others are about to come, and one sync shall do for them all. Whatever
    /// else the writer has to do is its thread's.
    mutating func lead(now: MonotonicTime) -> StoreWriter? {
        guard let deadlines = idleWriter?.deadlines, lastBatchCount <= 1, batches.isEmpty, jobs.isEmpty,
            endedCheckpoint == nil, !isClosing, deadlines.sync.map({ now < $0 }) ?? true
        else { return nil }
        return idleWriter.take()
    }

    /// Takes back the writer from a caller. True when its thread must be woken.
    mutating func handBack(_ writer: inout StoreWriter?) -> Bool {
        let deadline = writer?.deadlines.next
        idleWriter = writer.take()
        if !batches.isEmpty || !jobs.isEmpty || endedCheckpoint != nil || isClosing { return true }
        guard let deadline else { return false }
        return threadWakesAt.map { deadline < $0 } ?? true
    }

    /// Asks to close. Returns the result at once when that has happened already.
    mutating func close(_ completion: @escaping @Sendable (StoreError?) -> Void) -> StoreError?? {
        isClosing = true
        if isClosed { return .some(closeError) }
        closers.append(completion)
        return nil
    }

    mutating func beginClosing() { isClosing = true }

    // MARK: Jobs

    /// Asks the writer to do something. False when the store is closing.
    mutating func post(_ job: @escaping Job) -> Bool {
        if isClosing { return false }
        jobs.append(job)
        return true
    }

    /// Background work begins: the store does not close before its result came.
    mutating func beginBackground() { background += 1 }

    /// Hands in the result of background work.
    mutating func endBackground(_ job: @escaping Job) {
        background -= 1
        jobs.append(job)
    }

    // MARK: The writer

    /// The next work for the writer's thread, with the writer for it, or nil to wait: then the writer stays here, for
    /// callers that come alone.
    mutating func next(for writer: inout StoreWriter?, deadline: inout MonotonicTime?) -> Work? {
        if writer == nil { writer = idleWriter.take() }
        // Without it: the caller that has it hands over what is left to do.
        if let deadlines = writer?.deadlines {
            if let work = next(now: .now(), deadlines) { return work }
            deadline = deadlines.next
            idleWriter = writer.take()
        }
        threadWakesAt = deadline
        return nil
    }

    /// The next work, or nil to wait until the next of the deadlines.
    mutating func next(now: MonotonicTime, _ deadlines: WriterDeadlines) -> Work? {
        // The last checkpoint syncs too; but that may come late, behind one that still runs or other background work.
        let syncsSoon = isClosing && !wasToldToClose && background == 0
        if !syncsSoon, let due = deadlines.sync, due <= now { return .synchronize }
        if let result = endedCheckpoint.take() { return .checkpointed(result) }
        if !jobs.isEmpty { return .run(jobs.removeFirst()) }
        if batches.isEmpty {
            if isClosing, !wasToldToClose, background == 0 {
                wasToldToClose = true
                return .close
            }
            if let due = deadlines.vouch, due <= now { return .vouch }
            return nil
        }
        let batch = batches.removeFirst()
        lastBatchCount = batch.items.count
        pendingBytes -= batch.bytes
        admit()
        return .write(batch.items)
    }

    /// Hands the end of a checkpoint to the writer. One runs at a time.
    mutating func checkpointEnded(_ result: Result<CheckpointJob.Outcome, StoreError>) {
        assert(endedCheckpoint == nil, "two checkpoints at a time")
        endedCheckpoint = result
    }

    /// Marks the store as closed and gives those who wait for it.
    mutating func didClose(_ error: StoreError?) -> [@Sendable (StoreError?) -> Void] {
        isClosed = true
        closeError = error
        defer { closers = [] }
        return closers
    }

    // MARK: Room

    private func hasRoom(for bytes: Int) -> Bool { batches.isEmpty || pendingBytes + bytes <= limit }

    private mutating func take(_ offered: inout Pending?, bytes: Int) -> Admission {
        guard let item = offered.take() else { preconditionFailure("nothing to take") }
        let isFirst = batches.isEmpty
        if let last = batches.last, last.bytes < batchBytes {
        } else {
            batches.append(Gathering())
            batches[batches.count - 1].items.reserveCapacity(min(lastBatchCount, 4096))
        }
        batches[batches.count - 1].items.append(item)
        batches[batches.count - 1].bytes += bytes
        pendingBytes += bytes
        return .taken(isFirst: isFirst)
    }

    /// Lets in those who wait outside, in their order, as far as there is room. While someone is outside the queue is
    /// not empty, so that the writer comes round to this again.
    private mutating func admit() {
        while let ticket = order.first {
            if let bytes = outside[ticket]?.bytes {
                guard hasRoom(for: bytes) else { return }
                var item = outside.removeValue(forKey: ticket)
                _ = take(&item, bytes: bytes)
            }
            order.removeFirst()
        }
    }
}
