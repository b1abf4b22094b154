// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What can be said of a task beside what it is: where it is spawned, for its type, its domain or the whole scheduler.
///
/// ```swift
/// try context.spawnChild(Upload(file), options: TaskOptions(key: file.name, priority: 40, group: customer))
/// ```
///
/// What is not said at the call is as the task's type says (``DurableTask/options``), else its domain
/// (``TaskDomain/options``), else the scheduler (``TaskScheduler/Configuration/options``). Tags add up. Types that say
/// nothing, spawned without options, cost nothing more than that.
///
/// All but ``retry`` and ``expectedIO`` is decided when the task is spawned, and is as durable as the task. A retry
/// policy that is not said at the call is the one that the type has when an attempt fails; what is expected to be read
/// and written, when it is not said at the call, is what the type says in the scheduler that runs the task.
public struct TaskOptions: Sendable, Equatable {
    /// What no other live task may have: among the children of its parent, or the root tasks of its type (T11). It is
    /// free again when the task has ended.
    public var key: String?
    /// What is to happen when a live task has the key; ``DuplicatePolicy/skip`` by default, which gives that task the
    /// priority of this one where it is better (``Submission/upgraded``).
    public var onDuplicate: DuplicatePolicy?
    /// Lower goes first (T16); 128 by default.
    public var priority: UInt8?
    /// Tasks of a group share limits and a weight, whatever their types (T16): see ``LimitScope/group(_:)``. 1 to 255
    /// bytes.
    public var group: String?
    /// By which tasks are found. Each has 1 to 255 bytes.
    public var tags: [String]
    /// When the task may start at the earliest; at once by default.
    public var start: TaskStart?
    /// How long the task may take to end; for ever by default.
    public var timeToLive: TimeToLive?
    /// What must have ended before the task starts: some hundred tasks at most, since all options together have 4 KiB.
    ///
    /// Retention leaves the tree of a dependency alone from the commit of the task to its end. A dependency that was
    /// dropped before that, or by its id, counts as failed. See also ``TaskGraph``.
    public var dependencies: [TaskDependency]
    /// What is to happen when one of those ended in failure (``OutcomeKind/isFailure``); ``DependencyPolicy/fail`` by
    /// default.
    public var onDependencyFailure: DependencyPolicy?
    /// What is to happen when one of those was cancelled or superseded; the same as for a failure by default.
    public var onDependencyCancel: DependencyPolicy?
    /// How often the task is tried (T15); once by default.
    public var retry: RetryPolicy?
    /// What a call of the task's handler is expected to read and write (T16); nothing by default. Budgets hold back
    /// tasks that are expected to do either: see ``TaskScheduler/setIOBudget(_:for:)``.
    public var expectedIO: IOEstimate?

    /// Says what is given, and leaves the rest open.
    public init(
        key: String? = nil, onDuplicate: DuplicatePolicy? = nil, priority: UInt8? = nil, group: String? = nil,
        tags: [String] = [], start: TaskStart? = nil, timeToLive: TimeToLive? = nil,
        dependencies: [TaskDependency] = [], onDependencyFailure: DependencyPolicy? = nil,
        onDependencyCancel: DependencyPolicy? = nil, retry: RetryPolicy? = nil, expectedIO: IOEstimate? = nil
    ) {
        self.key = key
        self.onDuplicate = onDuplicate
        self.priority = priority
        self.group = group
        self.tags = tags
        self.start = start
        self.timeToLive = timeToLive
        self.dependencies = dependencies
        self.onDependencyFailure = onDependencyFailure
        self.onDependencyCancel = onDependencyCancel
        self.retry = retry
        self.expectedIO = expectedIO
    }

    /// These options, and where they say nothing, the others.
    func merged(over others: TaskOptions) -> TaskOptions {
        TaskOptions(
            key: key ?? others.key, onDuplicate: onDuplicate ?? others.onDuplicate,
            priority: priority ?? others.priority, group: group ?? others.group,
            tags: others.tags + tags, start: start ?? others.start,
            timeToLive: timeToLive ?? others.timeToLive,
            dependencies: dependencies.isEmpty ? others.dependencies : dependencies,
            onDependencyFailure: onDependencyFailure ?? others.onDependencyFailure,
            onDependencyCancel: onDependencyCancel ?? others.onDependencyCancel, retry: retry ?? others.retry,
            expectedIO: expectedIO ?? others.expectedIO)
    }
}
