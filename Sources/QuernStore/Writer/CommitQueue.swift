// SPDX-License-Identifier: Apache-2.0

/// The transactions that wait for the writer thread: while one batch syncs, the next gathers here (S2).
///
/// A plain value behind the store's monitor.
struct CommitQueue: Sendable {
    struct Pending: Sendable {
        var transaction: Transaction
        var durability: Durability
        var completion: (@Sendable (Result<Commit, StoreError>) -> Void)?
    }

    enum Work {
        /// Write these, in this order.
        case write([Pending])
        /// The oldest commit of an interval level is due to be synced.
        case synchronize
        /// Write what is left, then close.
        case close([Pending])
    }

    private var pending: [Pending] = []
    private(set) var isClosing = false
    private(set) var isClosed = false
    private var closers: [@Sendable (StoreError?) -> Void] = []
    private var closeError: StoreError?

    /// False when the store is closing: the transaction was not taken.
    mutating func add(_ item: Pending) -> Bool {
        if isClosing { return false }
        pending.append(item)
        return true
    }

    /// Asks to close. Returns the result at once when that has happened already.
    mutating func close(_ completion: @escaping @Sendable (StoreError?) -> Void) -> StoreError?? {
        isClosing = true
        if isClosed { return .some(closeError) }
        closers.append(completion)
        return nil
    }

    mutating func beginClosing() { isClosing = true }

    /// The next work, or nil to wait; `syncDue` is when the oldest unsynced interval commit must be on disk.
    mutating func next(now: MonotonicTime, syncDue: MonotonicTime?) -> Work? {
        if isClosing {
            defer { pending = [] }
            return .close(pending)
        }
        if let syncDue, syncDue <= now { return .synchronize }
        if pending.isEmpty { return nil }
        defer { pending = [] }
        return .write(pending)
    }

    /// Marks the store as closed and gives those who wait for it.
    mutating func didClose(_ error: StoreError?) -> [@Sendable (StoreError?) -> Void] {
        isClosed = true
        closeError = error
        defer { closers = [] }
        return closers
    }
}
