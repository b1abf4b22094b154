// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What is known of a task at one moment.
public struct TaskInfo: Sendable, Equatable {
    /// Where a task is on its way to an outcome.
    public enum State: Sendable, Equatable {
        /// It waits for a worker, or for a limit, a budget, a pause or the pressure to let it.
        case ready
        /// Its handler runs, or its outcome is being committed.
        case running
        /// It waits for a time.
        case delayed(until: Timestamp)
        /// It waits for other tasks to end.
        case blocked
        /// No handler is registered for it, or its options cannot be read (``TaskScheduler/heldTypes``).
        case held
        /// Its `execute` has returned, and children live.
        case waitingForChildren
        /// It was cancelled, by itself or with a parent, and gets its outcome soon.
        case cancelling
        /// It has its outcome.
        case ended(OutcomeKind)
    }

    public var id: TaskID
    /// ``TaskID/none`` for a root task.
    public var parent: TaskID
    /// As it is registered today; the name in the store when it is not.
    public var type: TaskType
    public var state: State
    /// How often it was tried. What a stop or a crash cut short does not count, nor what runs now.
    public var attempts: UInt32
    /// Why the last attempt failed; of an ended task, why it did not complete.
    public var failure: FailureInfo?
    /// Nil for an ended task that did not fail, as are ``group`` and ``submittedAt``.
    public var priority: UInt8?
    public var group: String?
    /// Sorted by their bytes; none for an ended task that did not fail.
    public var tags: [String] = []
    public var submittedAt: Timestamp?
    /// When the last attempt of an ended task began.
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
}

extension TaskInfo {
    /// A live task, whose state is to be found.
    init(_ task: LiveTask) {
        self.init(id: task.id, parent: task.parent, type: task.type, state: .ready, attempts: 0)
        priority = task.priority
        group = task.group
        tags = task.tags
        submittedAt = task.submittedAt
    }

    /// An ended root task. The block needs ``ChildColumns/errors`` and ``ChildColumns/attachments``.
    init(endedAt index: Int, in block: ChildBlock, _ type: TaskType) {
        let kind = block.kind(at: index)
        self.init(
            id: block.id(at: index), parent: .none, type: type, state: .ended(kind),
            attempts: block.attempts(at: index))
        startedAt = block.startedAt(at: index)
        endedAt = block.endedAt(at: index)
        guard kind != .completed else { return }
        let failure = block.withValue(at: index) { FailureInfo(decoding: $0) }
        self.failure = failure.reason.isEmpty ? nil : failure
        let remains = block.withAttachment(at: index) { bytes in
            TaskRemains(decoding: bytes.withUnsafeBytes { Array($0) })
        }
        guard let remains else { return }
        priority = remains.priority
        guard let attributes = try? TaskAttributes(decoding: remains.attributes) else { return }
        group = attributes.group
        tags = attributes.tags
    }
}
