// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension TaskContext {
    /// Spawns a task below this one, which `finalize` will see.
    ///
    /// - Throws: ``SchedulerError`` with `notAnOrchestrator` when the handler has no `finalize`, `notRegistered`,
    ///   `payloadNotEncodable`, `payloadTooLarge`, or `contextExpired`. The handler may go on after all but the last.
    /// - Complexity: O(payload). Durable when `execute` has returned and committed.
    public func spawnChild<Work: DurableTask>(_ task: Work) throws(SchedulerError) {
        try checkChildren()
        try spawn(task, under: id, try core.types.terms(of: Work.self))
    }

    /// Spawns a task below this one, with options of its own.
    ///
    /// A task whose key a live child has when `execute` commits is left out, gives that child its better priority, or
    /// replaces it, as ``TaskOptions/onDuplicate`` says. Of several tasks with one key that the same `execute` spawns
    /// the last one counts alone.
    ///
    /// - Throws: as ``spawnChild(_:)``; `invalidOptions`; `duplicateKey` when a live child has the key now and that is
    ///   to be rejected.
    /// - Complexity: O(payload + options). Durable when `execute` has returned and committed.
    public func spawnChild<Work: DurableTask>(_ task: Work, options: TaskOptions) throws(SchedulerError) {
        try checkChildren()
        try spawn(task, under: id, try core.types.terms(of: Work.self, options))
    }

    /// Spawns tasks below this one that have options in common: cheaper than one by one when there are options.
    ///
    /// - Parameter key: the key of each task; without it they have that of the options, if any.
    /// - Throws: as ``spawnChild(_:options:)``; the tasks before the one that it is about are spawned.
    /// - Complexity: O(payloads + keys). Durable when `execute` has returned and committed; memory holds a few MiB of
    ///   them until then, however many they are, and what the disk is behind: this does not wait for it. Where they
    ///   are made faster than they are written, use a stream, which does:
    ///   ``spawnChildren(from:cursor:named:chunk:pendingLimit:options:key:task:)``.
    @inlinable
    public func spawnChildren<Tasks: Sequence>(
        _ tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) throws(SchedulerError) where Tasks.Element: DurableTask {
        // The loop is the caller's, so that walking the sequence and making keys cost what they cost there.
        let terms = try childTerms(of: Tasks.Element.self, options)
        if let key {
            for task in tasks { try spawnChild(task, terms, key: key(task)) }
        } else {
            for task in tasks { try spawnChild(task, terms, key: nil) }
        }
    }

    @usableFromInline
    func childTerms<Work: DurableTask>(
        of type: Work.Type, _ options: TaskOptions
    ) throws(SchedulerError) -> SpawnTerms {
        try checkChildren()
        return try core.types.terms(of: type, options)
    }

    /// - Parameter key: nil for that of the terms.
    @usableFromInline
    func spawnChild<Work: DurableTask>(_ task: Work, _ terms: SpawnTerms, key: String?) throws(SchedulerError) {
        try spawn(task, under: id, terms, key: key ?? terms.key)
    }

    /// Spawns a task beside this one, under the same parent (T7).
    ///
    /// - Throws: ``SchedulerError`` with `noParent` when this is a root task, `notRegistered`,
    ///   `payloadNotEncodable`, `payloadTooLarge`, or `contextExpired`. The handler may go on after all but the last.
    /// - Complexity: O(payload). Durable when `execute` has returned and committed.
    public func spawnSibling<Work: DurableTask>(_ task: Work) throws(SchedulerError) {
        try checkParent()
        try spawn(task, under: parent, try core.types.terms(of: Work.self))
    }

    /// Spawns a task beside this one, with options of its own.
    ///
    /// - Throws: as ``spawnSibling(_:)``; `invalidOptions`; `duplicateKey` as ``spawnChild(_:options:)``, whose word on
    ///   keys holds here too.
    /// - Complexity: O(payload + options). Durable when `execute` has returned and committed.
    public func spawnSibling<Work: DurableTask>(_ task: Work, options: TaskOptions) throws(SchedulerError) {
        try checkParent()
        try spawn(task, under: parent, try core.types.terms(of: Work.self, options))
    }

    func checkChildren() throws(SchedulerError) {
        guard isOrchestrator else {
            throw SchedulerError(.notAnOrchestrator, "the handler of task \(id) has no finalize to see children")
        }
    }

    private func checkParent() throws(SchedulerError) {
        guard parent != .none else {
            throw SchedulerError(.noParent, "root task \(id) has no parent to spawn a sibling under")
        }
    }

    private func spawn<Work: DurableTask>(
        _ task: Work, under parent: TaskID, _ terms: SpawnTerms
    ) throws(SchedulerError) {
        try spawn(task, under: parent, terms, key: terms.key)
    }

    private func spawn<Work: DurableTask>(
        _ task: Work, under parent: TaskID, _ terms: SpawnTerms, key: String?
    ) throws(SchedulerError) {
        try buffer.spawn(ticket, in: core.store) { transaction throws(SchedulerError) in
            // The same time for all, so that they share runs; the true one where it matters.
            let time = terms.isTimed ? now : startedAt
            try add(task, under: parent, terms, key: key, at: time, to: &transaction)
        }
    }

    /// Adds a task to a transaction, that of the pull or one ahead of it.
    func add<Work: DurableTask>(
        _ task: Work, under parent: TaskID, _ terms: SpawnTerms, key text: String?, at time: Timestamp,
        to transaction: inout Transaction
    ) throws(SchedulerError) {
        var terms = terms
        if let tracer = core.tracer { terms = try core.traced(terms, tracer) }
        if !terms.dependencies.isEmpty { try core.checkDependencies(of: terms, under: parent) }
        var key: TaskKey?
        if let text {
            key = terms.storeKey(text, under: parent, core.keySecret)
            if let key, terms.onDuplicate == .reject, let other = core.store.task(forKey: key) {
                throw .duplicateKey(text, of: other)
            }
        }
        try transaction.spawn(task, under: parent, terms, key: key, at: time)
    }
}
