// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// What the scheduler refused to do, and why.
public struct SchedulerError: Error, Sendable, Equatable {
    /// The kind of an error. New kinds may come, so that a `switch` over them needs a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }

        /// No handler is registered for the type.
        public static let notRegistered = Code("not registered")
        /// A handler is registered for the type, or for one of its former names, or there is such a domain already.
        public static let alreadyRegistered = Code("already registered")
        /// A type's name is empty, longer than 255 bytes or has a "#" in it, or a domain's name is empty or too long.
        public static let invalidTypeName = Code("invalid type name")
        /// `run()` was called before.
        public static let alreadyRunning = Code("already running")
        /// Another scheduler has the open store.
        public static let storeTaken = Code("store taken")
        /// The scheduler stopped; the store keeps what it was given.
        public static let stopped = Code("stopped")
        /// A root task asked for a sibling: it has no parent to spawn it under. It may go on (T7).
        public static let noParent = Code("no parent")
        /// A task asked for a child, and its handler has no `finalize` to look at it.
        public static let notAnOrchestrator = Code("not an orchestrator")
        /// A context was used after its task's handler had returned.
        public static let contextExpired = Code("context expired")
        /// A task's payload cannot be encoded.
        public static let payloadNotEncodable = Code("payload not encodable")
        /// A task's payload is larger than 16 MiB.
        public static let payloadTooLarge = Code("payload too large")
        /// A group's or tag's name is empty or longer than 255 bytes, a task's options are more than 4 KiB, or a task
        /// is to depend on one that never was, on one of another parent than it says, or on a task above itself.
        public static let invalidOptions = Code("invalid options")
        /// The tasks of a ``TaskGraph`` cannot all run: one waits for itself by way of others, or for a name that the
        /// graph does not have; or two have one name.
        public static let invalidGraph = Code("invalid graph")
        /// A live task has the key, and ``TaskOptions/onDuplicate`` says to reject; `cause` names it.
        public static let duplicateKey = Code("duplicate key")
        /// The caller's Swift task was cancelled before its tasks were committed: none of them was submitted.
        public static let cancelled = Code("cancelled")
        /// A ``TaskMiddleware`` did not let the task be submitted.
        public static let refused = Code("refused")
        /// There is no task of this id and type.
        public static let unknownTask = Code("unknown task")
        /// An ended task cannot be run again: it did not fail, or it left nothing to run it again with, or that was
        /// done already.
        public static let notResubmittable = Code("not resubmittable")
        /// The system has no time zone of this name.
        public static let unknownTimeZone = Code("unknown time zone")
        /// What a task was to keep cannot be encoded, or is more than 16 MiB with all that it keeps beside it.
        public static let stateNotStorable = Code("state not storable")
        /// More children than a call's limit.
        public static let tooManyChildren = Code("too many children")
        /// The store refused or failed; `cause` says why.
        public static let store = Code("store")
    }

    public var code: Code
    public var message: String
    /// The store's error, when it is one.
    public var cause: StoreError?

    public init(_ code: Code, _ message: String, cause: StoreError? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    init(_ cause: StoreError) {
        if cause.code == .closed {
            self.init(.stopped, "the scheduler has stopped")
        } else if cause.code == .cancelled {
            self.init(.cancelled, "the caller was cancelled while it waited for the store", cause: cause)
        } else {
            self.init(.store, "the store failed", cause: cause)
        }
    }

    static func duplicateKey(_ key: String, of task: TaskID) -> SchedulerError {
        let cause = StoreError(.duplicateKey, "a live task has the key", task: task)
        return SchedulerError(.duplicateKey, "task \(task) has the key \"\(key.prefix(80))\"", cause: cause)
    }

    static func notRegistered(_ type: TaskType) -> SchedulerError {
        SchedulerError(.notRegistered, "no handler is registered for \(type)")
    }
}

extension SchedulerError: CustomStringConvertible {
    public var description: String {
        "\(code): \(message)" + (cause.map { ": \($0)" } ?? "")
    }
}
