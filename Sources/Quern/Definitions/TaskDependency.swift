// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A task that another one waits for.
public struct TaskDependency: Sendable, Hashable {
    public var task: TaskID
    /// Its parent, below which its outcome is found once it has ended; ``TaskID/none`` for a root task.
    public var parent: TaskID

    public init(_ task: TaskID, parent: TaskID = .none) {
        self.task = task
        self.parent = parent
    }
}

/// What becomes of a task when one that it waits for ended without completing, or would never end because it waits for
/// this one in turn.
public enum DependencyPolicy: UInt8, Sendable, CaseIterable {
    /// It ends as ``OutcomeKind/dependencyFailed``, which its parent counts as a failure.
    case fail = 1
    /// It ends as ``OutcomeKind/cancelled``.
    case cancel = 2
    /// It runs all the same, once all that it waits for has ended.
    case ignore = 3
}
