// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// Something that happened to one task.
public struct TaskEvent: Sendable, Equatable {
    /// What happened.
    public enum Kind: Sendable, Equatable {
        /// It is durable and waits for a worker.
        case spawned
        /// Its handler was called. It may be called again after a crash.
        case started(attempt: UInt32)
        /// Its handler told how far it is; see ``TaskContext/report(completed:of:)``.
        case progressed(completed: UInt64, of: UInt64?)
        /// Its handler threw, and is called again later.
        case retrying(attempt: UInt32, notBefore: Timestamp)
        /// A stop or a task that goes first cut its attempt short, or the store could not take or read what belongs to
        /// its end for the moment: it is pending again, the attempt not counted.
        case interrupted
        /// Its `execute` has returned; `finalize` follows when its children have ended.
        case waitsForChildren
        /// It has its outcome.
        case ended(OutcomeKind)
    }

    /// What happened.
    public var kind: Kind
    /// The task that it happened to.
    public var task: TaskID
    /// The task's parent; ``TaskID/none`` for a root task.
    public var parent: TaskID
    /// The task's type, as it was registered.
    public var type: TaskType
    /// When it happened, on the scheduler's clock.
    public var time: Timestamp
    /// Events that this reader missed right before this one, because it was slower than they came.
    public internal(set) var missed: UInt64 = 0
}
