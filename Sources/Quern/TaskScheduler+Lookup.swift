// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// A task by its id: one without an outcome, or a root task that has ended and was not dropped. Nil for others.
    ///
    /// - Throws: `StoreError` when what the store has of it cannot be read.
    /// - Complexity: O(waiting for a time or for a handler); for an ended root task O(root tasks that ended later).
    public func task(_ id: TaskID) async throws(StoreError) -> TaskInfo? {
        try await core.onThread { core throws(StoreError) in
            if let run = core.store.run(of: id) {
                let attributes = core.attributes(of: run) ?? TaskAttributes()
                var task = LiveTask(run, attributes, core.typeName(of: run.label))
                task.id = id
                if let info = try core.describe([task]).first { return info }
            }
            var found: TaskInfo?
            try core.forEachEndedRoot { index, block in
                guard block.id(at: index) == id else { return true }
                found = TaskInfo(endedAt: index, in: block, core.typeName(of: block.label(at: index)))
                return false
            }
            return found
        }
    }

    /// The root task of a type that has a key; nil when none has, since it has ended or never was.
    ///
    /// - Throws: ``SchedulerError`` with `notRegistered`, or with the store's error as its cause.
    /// - Complexity: as ``task(_:)``.
    public func task<Work: DurableTask>(
        forKey key: String, of type: Work.Type
    ) async throws(SchedulerError) -> TaskInfo? {
        guard let handle = try handle(forKey: key, of: type) else { return nil }
        do { return try await task(handle.id) } catch { throw SchedulerError(error) }
    }

    /// Tasks without an outcome, by what they were spawned as, in the order of their ids.
    ///
    /// - Parameters:
    ///   - prefix: only tasks with a tag that begins like this; nil for all.
    ///   - type: only this type; nil for all.
    ///   - group: only this group; nil for all.
    ///   - parent: only children of this parent, ``TaskID/none`` for root tasks; nil for all.
    ///   - limit: how many at most.
    /// - Throws: `StoreError` when what the store has of them cannot be read.
    /// - Complexity: O(live tasks) at most.
    public func tasks(
        tagPrefix prefix: String? = nil, of type: TaskType? = nil, group: String? = nil,
        below parent: TaskID? = nil, limit: Int = 1000
    ) async throws(StoreError) -> [TaskInfo] {
        try await core.onThread { core throws(StoreError) in
            var found: [LiveTask] = []
            var walk = LiveTaskWalk(core)
            walk.visit { task in
                guard found.count < limit else { return false }
                if task.matches(type, group, prefix, parent) { found.append(task) }
                return true
            }
            return try core.describe(found)
        }
    }

    /// Root tasks that have ended and were not dropped, those that ended last first.
    ///
    /// - Parameters:
    ///   - limit: how many at most.
    ///   - type: only this type; nil for all.
    /// - Throws: `StoreError` when they cannot be read.
    /// - Complexity: O(root tasks that ended since the last one that is returned).
    public func history(limit: Int = 100, of type: TaskType? = nil) async throws(StoreError) -> [TaskInfo] {
        try await core.onThread { core throws(StoreError) in
            var found: [TaskInfo] = []
            if limit <= 0 { return found }
            try core.forEachEndedRoot { index, block in
                let name = core.typeName(of: block.label(at: index))
                if type == nil || type == name { found.append(TaskInfo(endedAt: index, in: block, name)) }
                return found.count < limit
            }
            return found
        }
    }
}

extension LiveTask {
    func matches(_ type: TaskType?, _ group: String?, _ tagPrefix: String?, _ parent: TaskID?) -> Bool {
        if let type, self.type != type { return false }
        if let group, self.group != group { return false }
        if let parent, self.parent != parent { return false }
        if let tagPrefix { return hasTag(withPrefix: tagPrefix) }
        return true
    }
}

extension SchedulerCore {
    /// Runs something that blocks on a thread of the scheduler's own.
    func onThread<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (SchedulerCore) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await Task.detached(executorPreference: threads) { () -> Result<Value, Failure> in
            do throws(Failure) { return .success(try body(self)) } catch { return .failure(error) }
        }.value
        return try result.get()
    }

    /// Finds out what live tasks are about; those that have ended meanwhile are left out.
    func describe(_ tasks: [LiveTask]) throws(StoreError) -> [TaskInfo] {
        if tasks.isEmpty { return [] }
        let parents = Dictionary(uniqueKeysWithValues: tasks.map { ($0.id, $0.parent) })
        let states = read { $0.dispatcher.states(of: parents) }
        var infos: [TaskInfo] = []
        infos.reserveCapacity(tasks.count)
        for task in tasks where store.isLive(task.id) {
            var info = TaskInfo(task)
            info.state = states[task.id] ?? .ready
            if let detail = store.detail(of: task.id) {
                info.attempts = detail.attempts
                info.priority = detail.priority ?? task.priority
                if detail.attempts > 0, let error = try store.kept(task.id, slot: TaskSlot.lastError) {
                    info.failure = FailureInfo(decoding: error)
                }
            }
            infos.append(info)
        }
        return infos
    }

    /// Calls `body` for each ended root task, the last first, until it returns false.
    func forEachEndedRoot(_ body: (Int, ChildBlock) -> Bool) throws(StoreError) {
        var cursor = try store.children(of: .none).reversed().makeCursor(columns: [.errors, .attachments])
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count { guard body(index, block) else { return } }
        }
    }
}

/// What a live task's slots are for.
enum TaskSlot {
    /// What its phase begins with, which the store puts there (``Transaction/advance(_:to:value:)``).
    static let handover: UInt8 = 0
    /// Why the last attempt failed.
    static let lastError: UInt8 = 5
    /// When the first attempt began, once it has failed: of tasks whose time to live counts from it.
    static let firstStart: UInt8 = 6
}
