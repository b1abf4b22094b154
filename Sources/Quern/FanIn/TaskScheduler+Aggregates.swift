// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension Registry {
    /// Keeps an aggregate over the children of a type's tasks up to date in the background: each time that many more of
    /// them have ended as its interval says, so that who reads it has at most so many to fold.
    ///
    /// An aggregate that nobody maintains can be read all the same.
    ///
    /// - Complexity: nothing when a child ends; one look at a parent a batch.
    public mutating func maintain<Child: DurableTask, State: Codable & Sendable, Parent: DurableTask>(
        _ aggregate: Aggregate<Child, State>, under parent: Parent.Type
    ) {
        add(
            MaintainedAggregate(name: aggregate.name, interval: aggregate.interval) { parent, core in
                _ = try await core.aggregates.value(of: aggregate, under: parent, in: core, savesAll: true)
            }, under: parent)
    }
}

extension TaskScheduler {
    /// The value of an aggregate with all children of a task that have completed by now: also while others run, and
    /// when the task has ended, as long as its tree is kept.
    ///
    /// ```swift
    /// let soFar = try await scheduler.value(of: CatalogScanner.totals, under: scan.id)
    /// ```
    ///
    /// The children of a task are those that have its id as their parent. One that redrives another task has only those
    /// that it runs again; what it keeps is under the task that it redrives, as long as that tree is. Their values have
    /// no child twice, and all together what ``FinalizeContext/value(of:)`` has, which folds both. It is so because a
    /// task that has ended does not say what it redrove, and retention may drop that: a value with the kept children
    /// would lose them when the task ends.
    ///
    /// Calls for one parent wait for each other. When many children were folded, the value is saved while the parent
    /// has no outcome, so that a restart need not begin again.
    ///
    /// - Throws: ``SchedulerError`` with `notRegistered` when no handler is registered for the children's type, or with
    ///   the store's error as its cause; ``MemoDecodingError``; what the aggregate's `update` throws; `StoreError` when
    ///   the children cannot be read; `CancellationError`.
    /// - Complexity: O(children that ended since it was folded last).
    public func value<Child: DurableTask, State: Codable & Sendable>(
        of aggregate: Aggregate<Child, State>, under parent: TaskID
    ) async throws -> State {
        try await core.aggregates.value(of: aggregate, under: parent, in: core)
    }
}

extension TaskHandle {
    /// The value of an aggregate over the task's children, of a redriven tree those that run again: see
    /// ``TaskScheduler/value(of:under:)``.
    public func value<Child: DurableTask, State: Codable & Sendable>(
        of aggregate: Aggregate<Child, State>
    ) async throws -> State {
        try await core.aggregates.value(of: aggregate, under: id, in: core)
    }
}

extension FinalizeContext {
    /// The value of an aggregate over all children, of which only those are folded that were not before: of a redriven
    /// tree also the children that it keeps.
    ///
    /// - Throws: as ``TaskScheduler/value(of:under:)``.
    public func value<Child: DurableTask, State: Codable & Sendable>(
        of aggregate: Aggregate<Child, State>
    ) async throws -> State {
        // One that redrives another has children of both, in no slot of its own.
        if let run = core.store.run(of: id), core.redriven(by: run) != nil {
            return try await self.aggregate(
                of: Child.self, into: aggregate.initial, every: aggregate.interval, named: aggregate.name,
                aggregate.update)
        }
        return try await core.aggregates.value(of: aggregate, under: id, in: core)
    }
}
