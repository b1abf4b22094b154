// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// The handle of a root task by its id, also of one that was submitted by an earlier process or has ended.
    ///
    /// Whether there is such a root task, and of this type, shows when the handle is asked.
    ///
    /// - Complexity: O(1). The first question to the handle of a task that had ended by then looks through the
    ///   ended root tasks.
    public func handle<Work: DurableTask>(for id: TaskID, of type: Work.Type) -> TaskHandle<Work> {
        // What is not live is told of when the handle is asked, if at all: until then nobody waits.
        let isLive = core.store.run(of: id)?.parent == TaskID.none
        return TaskHandle(id: id, core: core, watch: isLive ? core.watch([id])[0] : RootWatch())
    }

    /// The root task of a type that has a key (``TaskOptions/key``); nil when none has, since it has ended or never
    /// was.
    ///
    /// - Throws: ``SchedulerError`` with `notRegistered`.
    /// - Complexity: O(bytes of the key).
    public func handle<Work: DurableTask>(
        forKey key: String, of type: Work.Type
    ) throws(SchedulerError) -> TaskHandle<Work>? {
        let storeKey = try core.types.terms(of: type).storeKey(key, under: .none, core.keySecret)
        return core.store.task(forKey: storeKey).map { handle(for: $0, of: type) }
    }

    /// The root tasks of one type that have not ended: what a restarted service waits for.
    ///
    /// - Throws: ``SchedulerError`` with `notRegistered`.
    /// - Complexity: O(live tasks).
    public func unfinished<Work: DurableTask>(_ type: Work.Type) throws(SchedulerError) -> [TaskHandle<Work>] {
        let labels = try core.types.labels(of: type)
        let runs = core.store.liveTasks().runs.filter { $0.run.parent == .none && labels.contains($0.run.label) }
        return runs.flatMap { entry in
            BitIndexes(entry.live).map { handle(for: entry.run.id(at: $0), of: type) }
        }
    }

    /// Cancels a task with all below it (T10): tasks that wait end as cancelled, handlers that run have their Swift
    /// task cancelled and end as cancelled whatever they return, parents end after their children.
    ///
    /// - Returns: when the request is durable; the outcomes follow. False when the task had ended, or never was.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause.
    /// - Complexity: a share of a pass over the queues in memory, which many cancels have in common.
    @discardableResult
    public func cancel(_ id: TaskID) async throws(SchedulerError) -> Bool {
        guard core.store.isLive(id) else { return false }
        var transaction = Transaction()
        transaction.requestCancel(id)
        do { try await core.store.append(transaction) } catch {
            if error.code == .rejected { return false }
            throw SchedulerError(error)
        }
        return true
    }

    /// Gives a task another priority than it was spawned with (T16). One that runs goes on as it is.
    ///
    /// - Parameter priority: lower goes first.
    /// - Returns: when the change is durable. False when the task had ended, or never was.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause.
    /// - Complexity: one pass over the queues in memory, shared by the changes of the same moment.
    @discardableResult
    public func setPriority(_ priority: UInt8, of id: TaskID) async throws(SchedulerError) -> Bool {
        guard core.store.isLive(id) else { return false }
        var transaction = Transaction()
        transaction.setPriority(id, priority)
        do { try await core.store.append(transaction) } catch {
            if error.code == .rejected { return false }
            throw SchedulerError(error)
        }
        return true
    }
}

extension SchedulerCore {
    /// Where to wait for the outcomes of root tasks.
    func watch(_ ids: [TaskID]) -> [RootWatch] {
        perform { state in
            ids.map { state.watch($0, RootWatch()) }
        }
    }

    /// Sees to it that a watch is answered: from the store when the task has ended already, or is none that it could be
    /// told of.
    ///
    /// - Throws: when the store cannot be read for the moment; who asks then is answered.
    func lookUp(_ id: TaskID, _ watch: RootWatch) async throws(SchedulerError) {
        perform { $0.watch(id, watch) }.tell(watch)
        if let run = store.run(of: id) { return refuse(id, run, watch) }
        // An outcome that is being written takes the task from the live ones before it shows among the ended. A commit
        // of nothing returns behind it: the watch is then answered, or the outcome is there, or the write failed and
        // the task is live again.
        await withCheckedContinuation { continuation in
            store.enqueue(Transaction(), durability: .buffered) { _ in continuation.resume() }
        }
        if !watch.isAnswered, let run = store.run(of: id) { return refuse(id, run, watch) }
        perform { $0.watches[id] = nil }
        if watch.isAnswered { return }
        let found = await Task.detached(executorPreference: threads) { [store] () -> Result<EndedTask?, StoreError> in
            do throws(StoreError) { return .success(try store.endedRoot(id)) } catch { return .failure(error) }
        }.value
        switch found {
        case .success(let ended?): watch.answer(.success(ended))
        case .success(nil): watch.answer(.failure(SchedulerError(.unknownTask, "there is no root task \(id)")))
        case .failure(let error) where error.isTransient: throw SchedulerError(error)
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

extension CoreState {
    /// Has a watch answered.
    ///
    /// - Returns: the one that is told of the task: another one when there is one already.
    mutating func watch(_ id: TaskID, _ watch: RootWatch) -> RootWatch {
        if let known = watches[id] { return known }
        if phase == .stopped {
            watch.answer(.failure(SchedulerError(.stopped, "the scheduler has stopped")))
        } else {
            watches[id] = watch
        }
        return watch
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
