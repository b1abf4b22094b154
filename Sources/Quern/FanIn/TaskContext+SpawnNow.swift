// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A task that was spawned ahead of its spawner's commit.
public struct SpawnedTask: Sendable, Equatable {
    /// That of the task, or of the live one that has its key.
    public var id: TaskID
    /// What became of it; never `rejected`.
    public var submission: Submission
}

/// Children that an orchestrator spawns ahead of its commit: durable at return, and running while `execute` goes on.
///
/// They are no part of what `execute` commits. When it throws, is cut short or dies with the process, they stay, and
/// when it is repeated it finds them:
///
/// | what becomes of `execute` | the children that it spawned ahead |
/// |---|---|
/// | it returns | are like its others: `finalize` waits for all |
/// | it throws, and is tried again | run on meanwhile |
/// | a stop or a crash cuts it short | run on, also in the next process |
/// | it throws for good | are cancelled; then the task ends as failed or dead-lettered, with the error |
/// | it is cancelled | are cancelled; then the task ends as cancelled |
///
/// So that a repetition does not spawn them again, give them keys: one whose key a live child has is left out. A key is
/// free again when its child has ended; where that may come first, save with them how far it is
/// (``spawnNow(contentsOf:saving:named:options:key:)``), or use
/// ``spawnChildren(from:cursor:named:chunk:pendingLimit:options:key:task:)``.
///
/// With ``ChildFailurePolicy/failFast``, a child that fails has the others cancelled while `execute` still runs.
extension TaskContext {
    /// Spawns a task below this one at once.
    ///
    /// - Returns: when it is durable, as the store's ``Durability`` says. It may be running by then.
    /// - Throws: as ``spawnChild(_:options:)``, and ``SchedulerError`` with the store's error as its cause. Without
    ///   space on the disk let that error pass: the task then waits for space.
    /// - Complexity: O(payload + options), and one commit: spawn many with one call.
    @discardableResult
    public func spawnNow<Work: DurableTask>(
        _ task: Work, options: TaskOptions = TaskOptions()
    ) async throws(SchedulerError) -> SpawnedTask {
        try await spawnNow(contentsOf: CollectionOfOne(task), options: options)[0]
    }

    /// Spawns tasks below this one at once, all or none.
    ///
    /// - Parameter key: the key of each task; without it they have that of the options, if any.
    /// - Returns: what became of each, in order, when they are durable.
    /// - Throws: as ``spawnNow(_:options:)``.
    /// - Complexity: O(payloads + keys), also in memory; one commit.
    @discardableResult
    public func spawnNow<Tasks: Sequence>(
        contentsOf tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws(SchedulerError) -> [SpawnedTask] where Tasks.Element: DurableTask {
        let transaction = try transaction(spawning: tasks, options, key)
        if transaction.isEmpty { return [] }
        let result: Result<Commit, SchedulerError> = await withCheckedContinuation { continuation in
            let refusal = sendAhead(transaction) { continuation.resume(returning: $0.mapError(SchedulerError.init)) }
            if let refusal { continuation.resume(returning: .failure(refusal)) }
        }
        return Self.spawned(transaction.spawnCount, try result.get())
    }

    /// Spawns tasks below this one at once, and saves in the same commit how far it is: a repetition of `execute` goes
    /// on from there, and no task is spawned twice or left out.
    ///
    /// ```swift
    /// var page = try context.savedState(as: Int.self) ?? 0
    /// while let jobs = try await queue.page(page) {
    ///     page += 1
    ///     try await context.spawnNow(contentsOf: jobs, saving: page)
    /// }
    /// ```
    ///
    /// - Parameter name: tells several states of one `execute` apart. All are written with each.
    /// - Throws: as ``spawnNow(_:options:)``, and `stateNotStorable`.
    @discardableResult
    public func spawnNow<Tasks: Sequence>(
        contentsOf tasks: Tasks, saving state: some Encodable & Sendable, named name: String = "",
        options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws(SchedulerError) -> [SpawnedTask] where Tasks.Element: DurableTask {
        let transaction = try transaction(spawning: tasks, options, key)
        let commit = try await save(try KeptState(state), named: Self.stateName(name), with: transaction)
        return Self.spawned(transaction.spawnCount, commit)
    }

    /// Saves a state that a repetition of `execute` finds, in the place of the one saved before under the name.
    ///
    /// - Returns: when it is durable. It is kept until the task has an outcome.
    /// - Throws: ``SchedulerError`` with `stateNotStorable`, `contextExpired`, or the store's error as its cause.
    public func saveState(
        _ state: some Encodable & Sendable, named name: String = ""
    ) async throws(SchedulerError) {
        _ = try await save(try KeptState(state), named: Self.stateName(name), with: Transaction())
    }

    /// What ``saveState(_:named:)`` or ``spawnNow(contentsOf:saving:named:options:key:)`` saved last, in this attempt
    /// or an earlier one. Nil when nothing was saved.
    ///
    /// - Throws: ``SchedulerError`` with `contextExpired`, or the store's error as its cause; what the state's decoding
    ///   throws.
    public func savedState<Value: Decodable & Sendable>(as type: Value.Type, named name: String = "") throws -> Value? {
        try states().state(named: Self.stateName(name))?.value(as: type)
    }

    private static func stateName(_ name: String) -> String { "state/" + name }

    private static func spawned(_ count: Int, _ commit: Commit) -> [SpawnedTask] {
        (0..<count).map { index in
            let disposition = commit.disposition(of: index)
            return SpawnedTask(id: disposition.task, submission: Submission(disposition, rejects: false))
        }
    }

    private func transaction<Tasks: Sequence>(
        spawning tasks: Tasks, _ options: TaskOptions, _ key: ((Tasks.Element) -> String?)?
    ) throws(SchedulerError) -> Transaction where Tasks.Element: DurableTask {
        try checkChildren()
        let terms = try core.types.terms(of: Tasks.Element.self, options)
        var transaction = Transaction()
        let now = now
        for task in tasks {
            try add(task, under: id, terms, key: key.map { $0(task) } ?? terms.key, at: now, to: &transaction)
        }
        return transaction
    }

    // MARK: Ahead of the commit

    func states() throws(SchedulerError) -> StateKeeper {
        try buffer.states(ticket) { StateKeeper(id, slot: StateKeeper.Slot.execute, core.store) }
    }

    /// Commits children together with a state.
    func save(
        _ state: KeptState, named name: String, with transaction: Transaction
    ) async throws(SchedulerError) -> Commit {
        try await states().save(state, named: name, with: transaction) { sendAhead($0, $1) }
    }

    /// Hands children, or a state, to the store ahead of what `execute` commits.
    ///
    /// - Returns: why not; `completion` is then not called.
    private func sendAhead(
        _ transaction: Transaction, _ completion: @escaping StateKeeper.Completion
    ) -> SchedulerError? {
        let (core, id, hasChildren) = (core, id, transaction.spawnCount > 0)
        do throws(SchedulerError) {
            try buffer.sendAhead(ticket) {
                if hasChildren { core.perform { $0.dispatcher.childrenLeave(for: id, label, under: parent) } }
                core.store.enqueue(transaction) { result in
                    if hasChildren { core.perform { $0.dispatcher.childrenArrived(at: id) } }
                    completion(result)
                }
            }
            return nil
        } catch { return error }
    }
}
