// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What became of a task that was submitted.
public enum Submission: Sendable, Equatable {
    /// It is a new task.
    case inserted
    /// A live task has the key, or a later task of the same batch: that is what the handle stands for (T11).
    case duplicate
    /// As ``duplicate``, and the live task got its priority, which is better than the one it had.
    case upgraded
    /// It is a new task, and the live one that had the key is being cancelled, to end as ``OutcomeKind/superseded``.
    case replaced(TaskID)
    /// As ``duplicate``, where ``TaskOptions/onDuplicate`` says that it is an error.
    case rejected
}

extension TaskScheduler {
    /// Submits a root task.
    ///
    /// Works before `run()` is called, too: the task waits.
    ///
    /// - Parameter options: what is to hold for this task. When it has a key, ``TaskHandle/submission`` says what
    ///   became of it, and the handle is that of the task that has the key then.
    /// - Returns: when the task is durable, as the store's ``Durability`` says; it then survives the process.
    /// - Throws: ``SchedulerError`` with `notRegistered`, `payloadNotEncodable`, `payloadTooLarge`, `invalidOptions`,
    ///   `refused` or `stopped`, or with the store's error as its cause; `duplicateKey` when a live task has the key
    ///   and that is to be rejected. When the cause is `indeterminate`, the task may be there or not.
    public func submit<Work: DurableTask>(
        _ task: Work, options: TaskOptions = TaskOptions()
    ) async throws(SchedulerError) -> TaskHandle<Work> {
        let handle = try await core.submit([task], options, key: nil)[0]
        if handle.submission == .rejected { throw .duplicateKey(options.key ?? "", of: handle.id) }
        return handle
    }

    /// Submits root tasks that have options in common, all or none.
    ///
    /// - Parameter key: the key of each task; without it they have that of the options, if any. Of several tasks with
    ///   one key the last one counts, and the others' handles are that one's.
    /// - Returns: a handle for each task, in order; ``TaskHandle/submission`` says what became of it. When the tasks
    ///   are durable, as the store's ``Durability`` says.
    /// - Throws: as ``submit(_:options:)``, but for `duplicateKey`: tasks that are rejected say so, and are no reason
    ///   not to take the others.
    /// - Complexity: O(payloads), also in memory.
    public func submit<Tasks: Sequence>(
        contentsOf tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws(SchedulerError) -> [TaskHandle<Tasks.Element>] where Tasks.Element: DurableTask {
        try await core.submit(Array(tasks), options, key: key)
    }
}

extension SchedulerCore {
    /// Passes root tasks through the middleware of their type, and commits them.
    func submit<Work: DurableTask>(
        _ tasks: [Work], _ options: TaskOptions, key: ((Work) -> String?)?
    ) async throws(SchedulerError) -> [TaskHandle<Work>] {
        let middleware = try types.middleware(around: Work.self)
        if tasks.isEmpty { return [] }
        if middleware.isEmpty { return try await commit(tasks, try types.terms(of: Work.self, options), key: key) }
        var handles: [TaskHandle<Work>] = []
        try await middleware.submit(TaskSubmission(tasks: tasks, options: options)) {
            [self] submission throws(SchedulerError) in
            handles = try await commit(tasks, try types.terms(of: Work.self, submission.options), key: key)
        }
        return handles
    }

    /// Commits root tasks; their watches are in place before they can end.
    private func commit<Work: DurableTask>(
        _ tasks: [Work], _ terms: SpawnTerms, key: ((Work) -> String?)?
    ) async throws(SchedulerError) -> [TaskHandle<Work>] {
        if !terms.dependencies.isEmpty { try checkDependencies(of: terms, under: .none) }
        var (transaction, terms) = (Transaction(), terms)
        if let tracer { terms = try traced(terms, tracer) }
        let now = clock.now
        for task in tasks {
            let key = (key.map { $0(task) } ?? terms.key).map { terms.storeKey($0, under: .none, keySecret) }
            try transaction.spawn(task, under: .none, terms, key: key, at: now)
        }
        let (filled, rejects) = (transaction, terms.onDuplicate == .reject)
        let result: Result<[TaskHandle<Work>], SchedulerError> = await withCheckedContinuation { continuation in
            store.enqueue(filled) { [self] result in
                continuation.resume(
                    returning: result.map { handles(of: $0, count: filled.spawnCount, rejects: rejects) }
                        .mapError(SchedulerError.init))
            }
        }
        return try result.get()
    }

    private func handles<Work: DurableTask>(
        of commit: Commit, count: Int, rejects: Bool
    ) -> [TaskHandle<Work>] {
        var entries: [(id: TaskID, submission: Submission)] = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            switch commit.disposition(of: index) {
            case .inserted(let id): entries.append((id, .inserted))
            case .duplicate(let other): entries.append((other, rejects ? .rejected : .duplicate))
            case .upgraded(let other): entries.append((other, .upgraded))
            case .replaced(let old, let id): entries.append((id, .replaced(old)))
            }
        }
        let watches = watch(entries.map(\.id))
        return zip(entries, watches).map { entry, watch in
            TaskHandle(id: entry.id, submission: entry.submission, core: self, watch: watch)
        }
    }
}
