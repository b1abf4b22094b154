// SPDX-License-Identifier: Apache-2.0
import Logging
import QuernStore

extension SchedulerCore {
    /// Sends a worker's transaction to the store. The dispatcher counts it until it is committed.
    func commit(_ transaction: Transaction, bytes: Int, events: [TaskEvent] = []) {
        store.enqueue(transaction) { [weak self] result in
            switch result {
            case .success:
                self?.committed(bytes: bytes)
                self?.events.publish(transaction.wasKeptBack ? self?.withoutOvertaken(events) ?? [] : events)
            case .failure(let error): self?.commitFailed(transaction, bytes: bytes, events, error)
            }
        }
    }

    /// What is to be told of a transaction that was kept back: nothing of attempts that others have overtaken.
    private func withoutOvertaken(_ events: [TaskEvent]) -> [TaskEvent] {
        events.filter { event in
            guard case .retrying(let attempt, _) = event.kind else { return true }
            return store.detail(of: event.task)?.attempts == attempt
        }
    }

    private func committed(bytes: Int) {
        let hasSpaceAgain = perform { state in
            state.dispatcher.committed(bytes: bytes)
            guard state.hasReportedStall, !state.dispatcher.isStalled else { return false }
            state.hasReportedStall = false
            return true
        }
        if hasSpaceAgain { logger.notice("work is given out again") }
    }

    private func commitFailed(
        _ transaction: Transaction, bytes: Int, _ events: [TaskEvent], _ error: StoreError
    ) {
        guard error.isTransient else {
            storeFailed(error)
            perform { $0.dispatcher.committed(bytes: bytes) }
            return
        }
        var stalled = CoreState.Stalled.Commit(transaction: transaction, bytes: bytes, events: events)
        stalled.transaction.keepBack(errorSlot: TaskSlot.lastError, in: store)
        stall(error) { [stalled] in $0.keep(stalled) }
    }

    /// Why a handler could not go on, when the store could not take what it did, or give what it reads, and soon may:
    /// no fault of the task's. What another store lacks, which a handler uses too, is a failure of the task as any.
    func transientCause(of error: any Error) -> StoreError? {
        let cause = error as? StoreError ?? (error as? SchedulerError)?.cause
        return cause.flatMap { $0.isTransient && store.concerns($0) ? $0 : nil }
    }

    /// Gives out no work for a while, because there is no space for what comes of it.
    func stall(_ error: StoreError, _ keep: (inout CoreState) -> Void = { _ in }) {
        let isNews = perform { state in
            keep(&state)
            guard state.phase == .running else { return false }
            state.stall()
            defer { state.hasReportedStall = true }
            return !state.hasReportedStall
        }
        if isNews { logger.error("the store lacks something, no work is given out until then: \(error)") }
    }

    /// What a task needs of the store could not be read: for want of a descriptor that is tried again in a moment, as
    /// what cannot be stored for want of space is.
    func readFailed(_ error: StoreError, _ keep: (inout CoreState) -> Void = { _ in }) {
        if error.isTransient { stall(error, keep) } else { storeFailed(error) }
    }

    func retry(_ stalled: CoreState.Stalled) {
        for entry in stalled.commits { commit(entry.transaction, bytes: entry.bytes, events: entry.events) }
        if !stalled.questions.isEmpty { ask(stalled.questions) }
    }

    /// On the thread that wrote, once a batch.
    func storeDidCommit(_ changes: CommitChanges) {
        // Before a worker can start them.
        if events.isObserved { tellSpawns(changes) }
        let (answers, released) = perform { state -> ([(RootWatch, EndedTask)], [TreePin]) in
            guard state.isRecovered else { return ([], []) }
            for run in changes.spawned {
                state.dispatcher.spawned(
                    run, attributes: changes.attributes[run.firstID] ?? [], absent: changes.absent[run.firstID] ?? 0)
            }
            if !changes.cancels.isEmpty { state.dispatcher.cancel(changes.cancels) }
            state.dispatcher.prioritized(changes.priorities)
            state.dispatcher.settled(changes.settled)
            if !changes.endedWatched.isEmpty { state.dispatcher.dependenciesEnded(changes.endedWatched) }
            for status in changes.touched { state.dispatcher.touched(status) }
            let answers = changes.endedRoots.compactMap { ended in
                state.watches.removeValue(forKey: ended.id).map { ($0, ended) }
            }
            return (answers, state.releaseTrees(changes.endedRuns))
        }
        for (watch, ended) in answers { watch.answer(.success(ended)) }
        if !released.isEmpty { store.unpin(released) }
        aggregates.touched(changes.touched, in: self)
    }

    func storeDidFail(_ error: StoreError) { storeFailed(error) }

    /// The store cannot go on, or said something that must not be: `run()` throws it.
    func storeFailed(_ error: StoreError) {
        let isFirst = perform { state in
            guard state.phase != .stopped, state.failure == nil else { return false }
            state.failure = error
            if state.phase == .running { state.phase = .stopping }
            state.dispatcher.stop(immediately: true)
            return true
        }
        guard isFirst else { return }
        logger.error("the store failed, the scheduler stops: \(error)")
        events.endInHandlers()
        answerAll(SchedulerError(error))
    }

    /// Tells those who wait for tasks that live and do not end any more before the scheduler has stopped. A handler may
    /// be among them, which the stop waits for.
    func answerInVain(_ watches: [TaskID: RootWatch]) {
        let vain = watches.filter { store.isLive($0.key) }
        if vain.isEmpty { return }
        perform { state in for id in vain.keys { state.watches[id] = nil } }
        for watch in vain.values { watch.answer(.failure(SchedulerError(.stopped, "the scheduler stops"))) }
    }

    /// Whether a handler's error says that the scheduler stops: no fault of the task's.
    func isStop(_ error: any Error) -> Bool {
        error is ExecutionSuspended
            || ((error as? SchedulerError)?.code == .stopped && read { $0.phase != .running })
    }

    /// Tells everyone who waits for a root task.
    func answerAll(_ error: SchedulerError) {
        let watches = perform { state in
            defer { state.watches = [:] }
            return Array(state.watches.values)
        }
        for watch in watches { watch.answer(.failure(error)) }
    }

    // MARK: - Recovery

    /// Takes over what the store has: first notes which tasks were in flight when the last process died, and ends
    /// those that were too often (T14).
    func recover() async throws(StoreError) {
        let live = store.liveTasks()
        try await recoverSchedules()
        let crashes = Dispatcher.crashCounts(of: live)
        let firstStarts = try await firstStarts(live)
        if !crashes.isEmpty {
            do throws(StoreError) { try await store.append(judge(crashes, live: live)) } catch {
                // What was in flight is still noted, in case this process dies as well.
                guard error.isTransient else { throw error }
                logger.error("which tasks ran when the process died cannot be stored: \(error)")
            }
        }
        let isChanged = try await expireOverdue(live, firstStarts)
        let current = crashes.isEmpty && !isChanged ? live : store.liveTasks()
        releaseTrees(besidesThoseOf: current)
        let held = perform { state in
            state.dispatcher.recover(current, firstStarts: firstStarts, wasClean: store.recovery.wasClean)
            state.isRecovered = true
            return state.dispatcher.heldCounts
        }
        if !held.isEmpty {
            let types = HeldType.list(held, in: store).map { "\($0.count) of \($0.name)" }.joined(separator: ", ")
            logger.warning("no handler for tasks in the store, which are kept and not run: \(types)")
        }
        recoverPauses()
    }

    private func judge(_ crashes: [TaskID: UInt8], live: LiveTasks) -> Transaction {
        var transaction = Transaction()
        let now = clock.now
        for entry in live.runs {
            for index in BitIndexes(entry.live) {
                let id = entry.run.id(at: index)
                guard let count = crashes[id] else { continue }
                let isSpared = crashLimit.map { count < $0 } ?? true
                if isSpared || live.parents.contains(where: { $0.id == id && $0.liveChildren > 0 }) {
                    transaction.noteCrash(id, count: count)
                    continue
                }
                do throws(StoreError) {
                    try quarantine(entry.run, index, live.details[id], count, at: now, in: &transaction)
                } catch {
                    logger.error("task \(id) may run once more, since what it is to leave cannot be read: \(error)")
                    transaction.noteCrash(id, count: count)
                }
            }
        }
        transaction.noteInFlight([])
        return transaction
    }

    /// Ends a task that was running too often when the process died: as it was to be cancelled, when somebody had asked
    /// for that, and else as dead-lettered. Nothing of its handler is called, which may be what kills the process.
    private func quarantine(
        _ run: SpawnRun, _ index: Int, _ detail: LiveTasks.Detail?, _ count: UInt8, at now: Timestamp,
        in transaction: inout Transaction
    ) throws(StoreError) {
        let id = run.id(at: index)
        let cancelled = cancelKind(of: id)
        let outcome = Transaction.Outcome(
            task: id, parent: run.parent, label: run.label, kind: cancelled ?? .deadLettered,
            attempts: detail?.attempts ?? 0, endedAt: now)
        var remains: [UInt8] = []
        if outcome.kind.isFailure {
            remains =
                detail?.phase == TaskPhase.children
                ? try self.remains(of: WaitingParent(run: run, index: index))
                : try self.remains(of: run, 1 << UInt64(index))[index] ?? []
        }
        logger.error("task \(id) was running \(count) times when the process died; it ends as \(outcome.kind)")
        if cancelled != nil { return transaction.end(cancelled: outcome, leaving: remains) }
        transaction.end(
            outcome, as: .deadLettered,
            failure: FailureInfo(reason: "quarantined", detail: "running \(count) times when the process died"),
            leaving: remains)
    }

    /// The outcome that a task is to have because a cancel of it, or of one above it, is durable.
    private func cancelKind(of id: TaskID) -> OutcomeKind? {
        if let kind = store.detail(of: id)?.cancel { return kind }
        var above = store.run(of: id)?.parent ?? .none
        while above != .none {
            if store.detail(of: above)?.cancel != nil { return .cancelled }
            above = store.run(of: above)?.parent ?? .none
        }
        return nil
    }
}
