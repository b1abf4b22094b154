// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// The tasks that ended in failure: root tasks, or the children of a parent, whether it has ended or not.
    ///
    /// ```swift
    /// for try await letter in scheduler.deadLetters(of: "mail.send", tag: "customer/42") { print(letter.failure) }
    /// ```
    ///
    /// - Parameters:
    ///   - type: only this type; nil for all.
    ///   - tag: only tasks with a tag that begins like this; nil for all.
    ///   - parent: whose children; ``TaskID/none`` for the root tasks.
    /// - Complexity: O(failures) when it is iterated, a block in memory.
    public func deadLetters(
        of type: TaskType? = nil, tag: String? = nil, below parent: TaskID = .none
    ) -> DeadLetters {
        DeadLetters(core: core, parent: parent, type: type, tagPrefix: tag)
    }

    /// Runs a root task that ended in failure again from the start (T15): as a new root task, with the same payload,
    /// priority, group, tags, key and retry policy, ready at once. A key that another task took from it before it ended
    /// stays that task's.
    ///
    /// The old outcome stays and is marked (``DeadLetter/wasResubmitted``), in one transaction with the new task: so no
    /// task is resubmitted twice, whatever crashes. Should the new one fail too, it is the one to resubmit.
    ///
    /// Children are not resubmitted one by one, since a parent that has ended would not see them (T15): redrive its
    /// root task.
    ///
    /// - Returns: the new task, for ``handle(for:of:)``, when it is durable.
    /// - Throws: ``SchedulerError`` with `unknownTask` when no such root task has ended, or its tree was dropped;
    ///   `notResubmittable` when it did not fail, left nothing to run it again with, or was run again before;
    ///   `duplicateKey` when a live task has its key; with `stopped`, or with the store's error as its cause.
    /// - Complexity: O(root tasks that ended later).
    @discardableResult
    public func resubmit(_ id: TaskID) async throws(SchedulerError) -> TaskID {
        try await Resubmissions.run(core) { try $0.runAgain(id, redrives: false) }
    }

    /// Runs the root tasks that ended in failure again from the start, as ``resubmit(_:)``, all that were not before.
    /// Those whose keys live tasks have, and those that left nothing to run them again with, stay as they are.
    ///
    /// - Parameters:
    ///   - type: only this type; nil for all.
    ///   - tag: only tasks with a tag that begins like this; nil for all.
    /// - Returns: how many.
    /// - Throws: ``SchedulerError`` with `stopped`, or with the store's error as its cause. What was resubmitted until
    ///   then stays so, and a second call goes on with the rest.
    /// - Complexity: O(failed root tasks), in transactions of a bounded size.
    @discardableResult
    public func resubmitDeadLetters(
        of type: TaskType? = nil, tag: String? = nil
    ) async throws(SchedulerError) -> Int {
        let core = core
        return try await Resubmissions.run(core) { resubmissions in
            try resubmissions.runAllAgain { label, remains in
                if let type, core.typeName(of: label) != type { return false }
                guard let tag else { return true }
                let tags = (try? TaskAttributes(decoding: remains.attributes))?.tags ?? []
                return tags.contains { $0.hasPrefix(tag) }
            }
        }
    }

    /// Runs again what failed below an ended root task (T12a): a new root task gets the old one's payload and
    /// hand-over, and as its children those of the old one that failed; then `finalize` runs on the whole. It sees the
    /// old children that did not fail and the new ones, each once, in every way that ``FinalizeContext`` has. `execute`
    /// does not run.
    ///
    /// - A child that failed in or before its own `execute` runs from the start; one that failed later, in `finalize`
    ///   or because of its children, is redriven in the same way, at any depth. A child that completed in spite of
    ///   failures below it counts as completed.
    /// - When the old task failed because children did (``ChildFailurePolicy``), those that were cancelled for it run
    ///   again too, from the start. One that had executed by then spawns its siblings once more, beside those that it
    ///   spawned before.
    /// - What runs again does not wait for what the old tasks waited for (earliest start, dependencies), and has no key
    ///   if it is a child.
    ///
    /// The old tree is read, not copied: retention leaves it alone until the new task has ended. Dropping it by its id
    /// meanwhile makes the new task fail. A second redrive is refused; the new task can be redriven in its turn.
    ///
    /// - Returns: the new task, for ``handle(for:of:)``, when it is durable. The children follow as one transaction, so
    ///   that a crash at any moment leaves none twice.
    /// - Throws: as ``resubmit(_:)``; `notResubmittable` also when the task completed without failures, or ended before
    ///   `finalize` was all that was left of it.
    /// - Complexity: O(root tasks that ended later); the new task then reads the failed children once.
    @discardableResult
    public func redrive(_ id: TaskID) async throws(SchedulerError) -> TaskID {
        try await Resubmissions.run(core) { try $0.runAgain(id, redrives: true) }
    }
}
