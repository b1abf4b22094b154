// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What an attempt of `finalize` saved for those that may come after it.
public struct SavedState<Value: Sendable>: Sendable {
    public var value: Value
    /// The position among the children up to which the value has everything; 0 for none.
    public var position: UInt64
}

/// State that survives: an attempt of `finalize` that follows a failed one, or a crash, goes on where that one was.
extension FinalizeContext {
    /// Saves a state and how far among the children it reaches, in the place of the one saved before under the name.
    ///
    /// Both are one commit, so that they always belong together. All states of a task are written with each of them.
    ///
    /// - Parameters:
    ///   - position: that of ``ChildOutcomes/Iterator/position``, or 0 for a state that has nothing to do with it.
    ///   - name: tells several states of one `finalize` apart.
    /// - Returns: when it is durable. It is kept until the task has an outcome.
    /// - Throws: ``SchedulerError`` with `stateNotStorable`, `contextExpired`, `stopped`, or with the store's error as
    ///   its cause.
    public func saveState(
        _ state: some Encodable & Sendable, after position: UInt64, named name: String = ""
    ) async throws(SchedulerError) {
        _ = try await states().save(try KeptState(state, position: position), named: name)
    }

    /// What ``saveState(_:after:named:)`` saved last, in this attempt or an earlier one. Nil when it saved nothing.
    ///
    /// - Throws: ``SchedulerError`` with `contextExpired`, or with the store's error as its cause; what the state's
    ///   decoding throws.
    public func savedState<Value: Decodable & Sendable>(
        as type: Value.Type, named name: String = ""
    ) throws -> SavedState<Value>? {
        guard let kept = try states().state(named: name) else { return nil }
        return SavedState(value: try kept.value(as: type), position: kept.position)
    }

    /// The outcomes of the children of one type behind a position: as ``children(of:)``, from there on.
    ///
    /// ```swift
    /// let saved = try context.savedState(as: Totals.self)
    /// var totals = saved?.value ?? Totals()
    /// var outcomes = try context.children(of: Import.self, after: saved?.position ?? 0).makeAsyncIterator()
    /// while let outcome = try await outcomes.next() {
    ///     totals.add(outcome)
    ///     if totals.count % 100_000 == 0 { try await context.saveState(totals, after: outcomes.position) }
    /// }
    /// ```
    ///
    /// - Throws: `StoreError` when the block that the position lies in cannot be read.
    public func children<T: DurableTask>(
        of type: T.Type, after position: UInt64
    ) throws(StoreError) -> ChildOutcomes<T> {
        ChildOutcomes(
            children: try children.after(position), labels: try? core.types.labels(of: type), start: position)
    }

    /// What this and earlier attempts saved.
    func states() throws(SchedulerError) -> StateKeeper {
        try buffer.states(ticket) { StateKeeper(id, slot: StateKeeper.Slot.finalize, core.store) }
    }

    // MARK: Aggregates that go on

    /// Folds the memos of all completed children of one type, in order, and saves the result so far: an attempt after a
    /// failed one or a crash goes on behind the last `interval` children, instead of beginning again.
    ///
    /// ```swift
    /// let totals = try await context.aggregate(of: Import.self, into: Totals()) { $0.add($1) }
    /// ```
    ///
    /// Each memo is in the result once, wherever the process died: result and position are saved as one. Fewer children
    /// than `interval` are folded without saving anything.
    ///
    /// - Parameters:
    ///   - interval: how many children to look at between two saves, each of which writes the result and waits for the
    ///     disk.
    ///   - name: under which it is saved; that of the type by default. Two aggregates over one type need two names, and
    ///     so does one whose `update` was changed.
    /// - Throws: what `update` throws; ``MemoDecodingError`` at the first memo that cannot be decoded;
    ///   ``SchedulerError`` with `notRegistered`, `stateNotStorable`, or the store's error as its cause; `StoreError`
    ///   when the children cannot be read; `CancellationError`, between blocks.
    /// - Complexity: O(children behind the saved position), about as ``reduceMemos(of:into:_:)``.
    @inlinable
    public func aggregate<T: DurableTask, State: Codable & Sendable>(
        of type: T.Type, into initial: State, every interval: Int = 1_000_000, named name: String? = nil,
        _ update: (inout State, T.Memo) throws -> Void
    ) async throws -> State {
        var walk = try AggregateWalk<T>(self, interval, name)
        var state = try walk.saved(as: State.self) ?? initial
        while try walk.next() {
            for memo in walk.memos { try update(&state, memo) }
            if walk.isDue { try await walk.save(state) }
        }
        return state
    }

    /// As the form without `combine`, on several threads: each `interval` of children is split among them.
    ///
    /// - Parameters:
    ///   - initial: neutral: adding it changes nothing.
    ///   - threads: how many read and fold at most, at least 1; one for each processor when nil.
    ///   - update: adds a memo to a result. It runs on several threads, on different results.
    ///   - combine: adds a result to the one of the children before. It must be associative; the order is kept.
    /// - Throws: as the form without `combine`; what `combine` throws.
    @inlinable
    public func aggregate<T: DurableTask, State: Codable & Sendable>(
        of type: T.Type, into initial: State, every interval: Int = 1_000_000, named name: String? = nil,
        threads: Int? = nil, _ update: @escaping @Sendable (inout State, T.Memo) throws -> Void,
        combine: (inout State, State) throws -> Void
    ) async throws -> State {
        let labels = try labels(of: type)
        let name = name ?? T.type.name
        let saved = try savedState(as: State.self, named: name)
        var total = MemoFold(state: saved?.value ?? initial, position: saved?.position ?? 0)
        let rest = try children.after(total.position)
        let saves = rest.count >= interval
        for part in rest.split(into: max(1, rest.count / max(1, interval))) {
            let fold = try await part.reduce(
                into: MemoFold(state: initial), columns: .memos, threads: threads.map { max(1, $0) },
                { (fold, block) in try fold.add(block, of: type, labels, in: part, update) },
                combine: { try $0.append($1, combine) })
            try total.append(fold, combine)
            if saves { try await saveState(total.state, after: total.position, named: name) }
        }
        return total.state
    }
}
