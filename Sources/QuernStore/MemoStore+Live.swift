// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension MemoStore {
    /// Everything without an outcome: what a scheduler starts from. O(live).
    public func liveTasks() -> LiveTasks { shared.committed.withLock { $0.liveTasks() } }

    /// The largest id that a task was given so far; ``TaskID/none`` before the first. O(1).
    public var lastTask: TaskID { shared.committed.withLock { TaskID($0.state.nextID - 1) } }

    /// Whether a task has no outcome yet. O(log live).
    public func isLive(_ task: TaskID) -> Bool {
        shared.committed.withLock { $0.state.live.contains(task) }
    }

    /// The run of a live task. O(log live).
    public func run(of task: TaskID) -> SpawnRun? {
        shared.committed.withLock { $0.state.live.run(of: task)?.run }
    }

    /// What a run was spawned with, while one of its tasks is live; else, and without any, empty. O(log runs).
    public func attributes(of run: SpawnRun) -> [UInt8] {
        shared.committed.withLock { $0.state.attributes[run.firstID] }
    }

    /// The live task that has a key. O(1).
    public func task(forKey key: TaskKey) -> TaskID? { shared.committed.withLock { $0.state.keys.task(for: key) } }

    /// The key that a live task has. O(log tasks with keys).
    public func key(of task: TaskID) -> TaskKey? { shared.committed.withLock { $0.state.keys.key(of: task) } }

    /// What is known of a live task beyond its run; nil when there is nothing to tell. O(log such tasks).
    public func detail(of task: TaskID) -> LiveTasks.Detail? {
        shared.committed.withLock { $0.state.details[task] }
    }

    /// What this store's keys are made with: the same for its life, and no other store's.
    public var keySecret: TaskKey.Secret { TaskKey.Secret(shared.files.identity) }

    /// A live task as a parent, when it has or had children or was advanced; also of ``TaskID/none``. O(log live).
    public func status(of parent: TaskID) -> ParentStatus? {
        shared.committed.withLock { $0.state.parents.status(of: parent) }
    }

    /// Has the observer told of the ends of these tasks, once each, in ``CommitChanges/endedWatched``. Forgotten when
    /// the store is closed. O(tasks x log live).
    ///
    /// - Returns: those that have ended, or never were: of them nothing will be told.
    public func watch(_ tasks: some Sequence<TaskID>) -> [TaskID] {
        // The caller's sequence is not run under the lock.
        let tasks = Array(tasks)
        return shared.committed.withLock { $0.watch(tasks) }
    }

    /// Takes ``watch(_:)`` back, of tasks that have not ended.
    public func unwatch(_ tasks: some Sequence<TaskID>) {
        let tasks = Array(tasks)
        shared.committed.withLock { $0.watched.subtract(tasks) }
    }

    /// Counts over the whole store. O(1).
    public var totals: (live: Int, endedRoots: UInt64) { shared.committed.withLock { $0.totals } }

    /// The live tasks below `tasks`, at any depth, that are parents themselves. One pass over the live runs, since ids
    /// follow commit order and a child comes after its parent.
    public func liveParents(below tasks: Set<TaskID>) -> Set<TaskID> {
        shared.committed.withLock { $0.liveParents(below: tasks) }
    }

    /// Reads the payloads of a run for each set bit of `indexes`, in order; `body` gets the index in the run and the
    /// bytes. May block on the log file; mostly served from memory.
    public func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void
    ) throws(StoreError) {
        func place() -> SpawnRun? {
            let entry = shared.committed.withLock { $0.state.live.entry(ofRunWith: run.firstID) }
            return entry.flatMap { $0.live & indexes != 0 ? $0.run : nil }
        }
        // The payloads may have moved since the caller got the run, and may move again before they are read.
        var known = place() ?? run
        while true {
            do throws(StoreError) { return try shared.bodies.withPayloads(of: known, indexes: indexes, body) } catch {
                guard let now = place(), now != known else { throw error }
                known = now
            }
        }
    }
}
