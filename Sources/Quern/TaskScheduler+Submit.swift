// SPDX-License-Identifier: Apache-2.0
import HeapModule
public import QuernStore

extension TaskScheduler {
    /// Submits a root task.
    ///
    /// Works before `run()` is called, too: the task waits.
    ///
    /// - Returns: when the task is durable, as the store's ``Durability`` says; it then survives the process.
    /// - Throws: ``SchedulerError`` with `notRegistered`, `payloadNotEncodable`, `payloadTooLarge` or `stopped`, or
    ///   with the store's error as its cause. When that is `indeterminate`, the task may be there or not.
    public func submit<Work: DurableTask>(_ task: Work) async throws(SchedulerError) -> TaskHandle<Work> {
        let label = try core.types.label(of: Work.self)
        var transaction = Transaction()
        try transaction.spawn(task, under: .none, label: label, at: core.clock.now)
        let (id, watch) = try await core.submit(transaction)
        return TaskHandle(id: id, core: core, watch: watch)
    }

    /// The handle of a root task by its id, also of one that was submitted by an earlier process or has ended.
    ///
    /// Whether there is such a root task, and of this type, shows when the handle is asked.
    ///
    /// - Complexity: O(1). The first question to the handle of a task that had ended by then looks through the
    ///   ended root tasks.
    public func handle<Work: DurableTask>(for id: TaskID, of type: Work.Type) -> TaskHandle<Work> {
        TaskHandle(id: id, core: core, watch: core.watch(id))
    }

    /// The root tasks of one type that have not ended: what a restarted service waits for.
    ///
    /// - Throws: ``SchedulerError`` with `notRegistered`.
    /// - Complexity: O(live tasks).
    public func unfinished<Work: DurableTask>(_ type: Work.Type) throws(SchedulerError) -> [TaskHandle<Work>] {
        let label = try core.types.label(of: type)
        return core.store.liveTasks().runs.filter { $0.run.parent == .none && $0.run.label == label }.flatMap { entry in
            BitIndexes(entry.live).map { handle(for: entry.run.id(at: $0), of: type) }
        }
    }

    /// Cancels a task with all below it (T10): tasks that wait end as cancelled, handlers that run have their Swift
    /// task cancelled and end as cancelled whatever they return, parents end after their children.
    ///
    /// - Returns: when the request is durable; the outcomes follow. False when the task had ended, or never was.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause.
    /// - Complexity: one pass over the queues in memory, shared by the cancels of the same moment; a pass each for
    ///   tasks that have children.
    @discardableResult
    public func cancel(_ id: TaskID) async throws(SchedulerError) -> Bool {
        guard core.store.isLive(id) else { return false }
        var transaction = Transaction()
        transaction.requestCancel(id)
        do { try await core.store.append(transaction) } catch {
            if error.code == .rejected { return false }
            throw SchedulerError(error)
        }
        core.perform { $0.dispatcher.cancel([id]) }
        return true
    }

    /// What the scheduler has to do and has done since it was made.
    ///
    /// - Complexity: O(waiting for a retry or for a handler).
    public var statistics: SchedulerStatistics { core.read { $0.dispatcher.statistics } }
}

/// Counts of one moment.
public struct SchedulerStatistics: Sendable, Equatable {
    /// Tasks that wait for a worker.
    public var ready = 0
    /// Tasks that wait for their next attempt.
    public var delayed = 0
    /// Tasks of types without a handler.
    public var held = 0
    /// Orchestrator tasks between `execute` and their outcome.
    public var waitingParents = 0
    /// Workers that run tasks, one at a time each.
    public var running = 0
    /// Tasks that got an outcome.
    public var ended: UInt64 = 0
}

extension Dispatcher {
    var statistics: SchedulerStatistics {
        var statistics = SchedulerStatistics()
        statistics.ready =
            queues.count + inFlight.values.reduce(0) { $0 + $1.pull.claims.remaining.nonzeroBitCount }
        statistics.delayed = delayed.count
        statistics.held = held.reduce(0) { $0 + $1.count }
        statistics.waitingParents = waiting.count
        statistics.running = inFlight.count
        statistics.ended = endedCount
        return statistics
    }
}

extension SchedulerCore {
    /// Commits a transaction with one spawn; the watch is in place before the task can end.
    func submit(_ transaction: Transaction) async throws(SchedulerError) -> (TaskID, RootWatch) {
        let result: Result<(TaskID, RootWatch), SchedulerError> = await withCheckedContinuation { continuation in
            store.enqueue(transaction) { [self] result in
                switch result {
                case .success(let commit):
                    let id = TaskID(commit.spawned[0].lowerBound)
                    continuation.resume(returning: .success((id, watch(id))))
                case .failure(let error):
                    continuation.resume(returning: .failure(SchedulerError(error)))
                }
            }
        }
        return try result.get()
    }

    /// Where to wait for a root task's outcome.
    func watch(_ id: TaskID) -> RootWatch {
        perform { state in
            if let watch = state.watches[id] { return watch }
            let watch = RootWatch()
            if state.phase == .stopped {
                watch.answer(.failure(SchedulerError(.stopped, "the scheduler has stopped")))
            } else {
                state.watches[id] = watch
            }
            return watch
        }
    }

    /// Answers a watch from the store when the task has ended already, or is none that it could be told of.
    func lookUp(_ id: TaskID, _ watch: RootWatch) async {
        if let run = store.run(of: id) { return refuse(id, run, watch) }
        // An outcome that is being written takes the task from the live ones before it shows among the ended. A commit
        // of nothing returns behind it: the watch is then answered, or the outcome is there, or the write failed and
        // the task is live again.
        await withCheckedContinuation { continuation in
            store.enqueue(Transaction(), durability: .buffered) { _ in continuation.resume() }
        }
        if watch.isAnswered { return }
        if let run = store.run(of: id) { return refuse(id, run, watch) }
        let found = await Task.detached(executorPreference: threads) { [store] () -> Result<EndedTask?, StoreError> in
            do throws(StoreError) { return .success(try store.endedRoot(id)) } catch { return .failure(error) }
        }.value
        perform { $0.watches[id] = nil }
        switch found {
        case .success(let ended?): watch.answer(.success(ended))
        case .success(nil): watch.answer(.failure(SchedulerError(.unknownTask, "there is no root task \(id)")))
        case .failure(let error): watch.answer(.failure(SchedulerError(error)))
        }
    }

    /// Nobody would ever be told of a live task's outcome when it is no root task.
    private func refuse(_ id: TaskID, _ run: SpawnRun, _ watch: RootWatch) {
        guard run.parent != .none else { return }
        perform { $0.watches[id] = nil }
        watch.answer(.failure(SchedulerError(.unknownTask, "task \(id) is no root task")))
    }
}

extension MemoStore {
    /// Looks for a root task among the ended ones. Blocking, O(ended roots).
    func endedRoot(_ id: TaskID) throws(StoreError) -> EndedTask? {
        var cursor = try children(of: .none).makeCursor(columns: .all)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count where block.id(at: index) == id {
                return EndedTask(at: index, in: block)
            }
        }
        return nil
    }
}
