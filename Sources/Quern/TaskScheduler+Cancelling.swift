// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// Cancels the root task of a type that has a key, with all below it, as ``cancel(_:)``.
    ///
    /// - Returns: when the request is durable. False when no live task has the key.
    /// - Throws: ``SchedulerError`` with `notRegistered`, `stopped`, or with the store's error as its cause.
    @discardableResult
    public func cancel<Work: DurableTask>(key: String, of type: Work.Type) async throws(SchedulerError) -> Bool {
        guard let handle = try handle(forKey: key, of: type) else { return false }
        return try await cancel(handle.id)
    }

    /// Cancels tasks by what they were spawned as, with all below them: all that fit each of what is said, and all
    /// tasks when nothing is. Tasks that are spawned meanwhile are not among them.
    ///
    /// - Parameters:
    ///   - type: only this type; nil for all.
    ///   - group: only this group; nil for all.
    ///   - prefix: only tasks with a tag that begins like this; nil for all.
    ///   - parent: only children of this parent, ``TaskID/none`` for root tasks; nil for all.
    /// - Returns: as ``cancel(where:)``.
    /// - Throws: as ``cancel(where:)``.
    /// - Complexity: as ``cancel(where:)``.
    @discardableResult
    public func cancelAll(
        of type: TaskType? = nil, group: String? = nil, tagPrefix prefix: String? = nil, below parent: TaskID? = nil
    ) async throws(SchedulerError) -> Int {
        try await cancel { $0.matches(type, group, prefix, parent) }
    }

    /// Cancels the tasks that a predicate chooses, with all below them (T10). Tasks that are spawned meanwhile are not
    /// among them.
    ///
    /// - Parameter predicate: asked once for each task without an outcome, but for those below one that it chose: they
    ///   are cancelled with it.
    /// - Returns: how many tasks it chose that had not ended, when the requests are durable; the outcomes follow. They
    ///   are made in transactions of some thousand.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause; part of the requests may
    ///   then be durable.
    /// - Complexity: O(live tasks), and memory for the runs of them.
    @discardableResult
    public func cancel(
        where predicate: @escaping @Sendable (LiveTask) -> Bool
    ) async throws(SchedulerError) -> Int {
        do { return try await core.onThread { core throws(StoreError) in try BulkCancel(core).run(predicate) } } catch {
            throw SchedulerError(error)
        }
    }
}

/// Requests to cancel many tasks, in transactions of a bounded size. Blocking.
private struct BulkCancel {
    private static let batchCount = 4096

    private let core: SchedulerCore
    private var batch: [TaskID] = []
    private var count = 0

    init(_ core: SchedulerCore) { self.core = core }

    consuming func run(_ predicate: (LiveTask) -> Bool) throws(StoreError) -> Int {
        var walk = LiveTaskWalk(core)
        let parents = Set(walk.live.parents.map(\.id))
        // Parents that are chosen, or below one that is: what is below them goes with them.
        var covered: Set<TaskID> = []
        var failure: StoreError?
        walk.forEach {
            covered.contains($0)
        } onSkip: { entry in
            for index in BitIndexes(entry.live) where parents.contains(entry.run.id(at: index)) {
                covered.insert(entry.run.id(at: index))
            }
        } _: { task in
            guard predicate(task) else { return true }
            if parents.contains(task.id) { covered.insert(task.id) }
            batch.append(task.id)
            guard batch.count >= Self.batchCount else { return true }
            do throws(StoreError) { try flush() } catch { failure = error }
            return failure == nil
        }
        if let failure { throw failure }
        try flush()
        return count
    }

    private mutating func flush() throws(StoreError) {
        try request(batch[...])
        batch.removeAll(keepingCapacity: true)
    }

    /// A task that ends meanwhile has the whole transaction refused: it is left out, by halves.
    private mutating func request(_ ids: ArraySlice<TaskID>) throws(StoreError) {
        let live = ids.filter(core.store.isLive)
        if live.isEmpty { return }
        var transaction = Transaction()
        for id in live { transaction.requestCancel(id) }
        do throws(StoreError) {
            try core.store.appendBlocking(transaction)
            count += live.count
        } catch {
            guard error.code == .rejected else { throw error }
            // It may be ending just now, so that it still counts as live.
            if live.count == 1 { return }
            let middle = live.count / 2
            try request(live[..<middle])
            try request(live[middle...])
        }
    }
}
