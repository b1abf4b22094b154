// SPDX-License-Identifier: Apache-2.0

/// What goes around the submission, the execution and the end of tasks, whatever their types: to measure, to trace, to
/// refuse, to set up what handlers find in task-local values.
///
/// ```swift
/// struct Timing: TaskMiddleware {
///     func execute(_ task: some DurableTask, in context: TaskContext, next: () async throws -> Void) async throws {
///         let start = ContinuousClock.now
///         defer { record(type(of: task).type, ContinuousClock.now - start) }
///         try await next()
///     }
/// }
///
/// let scheduler = try await TaskScheduler(storeAt: path) {
///     $0.use { Timing(); Tracing() }  // the first one is outermost
///     $0.register(Uploader())
/// }
/// ```
///
/// Each has to call `next` once, or to throw. What it throws has the same consequences as if the handler had thrown it;
/// what `next` throws has them, too, when it is caught. A second call of `next` throws and does nothing else.
/// A scheduler that uses none calls its handlers directly.
public protocol TaskMiddleware: Sendable {
    /// Around the commit of root tasks of one type that are submitted together: one, a batch, or a chunk of a stream.
    /// Their options may be changed on the way; what it throws, the caller gets as ``SchedulerError/Code/refused``, or
    /// as it is when it is a ``SchedulerError``.
    ///
    /// The tasks come one by one while `next` goes on, however many they are: ``inspect(_:in:)`` sees each.
    func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws

    /// Sees each root task on its way to the store, with the options that all middleware has agreed on. What it throws
    /// has nothing of the submission committed, and the caller gets it as from ``submit(_:next:)``.
    func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws

    /// Around a handler's `execute`. The task's outcome commits later: returning from `next` does not make it durable.
    func execute(_ task: some DurableTask, in context: TaskContext, next: () async throws -> Void) async throws

    /// Around a handler's `finalize`. On a thread of the scheduler's own.
    func finalize(_ task: some DurableTask, in context: FinalizeContext, next: () async throws -> Void) async throws
}

extension TaskMiddleware {
    public func submit(_ submission: TaskSubmission, next: (TaskSubmission) async throws -> Void) async throws {
        try await next(submission)
    }

    public func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws {}

    public func execute(
        _ task: some DurableTask, in context: TaskContext, next: () async throws -> Void
    ) async throws { try await next() }

    public func finalize(
        _ task: some DurableTask, in context: FinalizeContext, next: () async throws -> Void
    ) async throws { try await next() }
}

/// What is known of root tasks that are submitted together before they are looked at.
public struct TaskSubmission: Sendable {
    public let type: TaskType
    /// What was said at the call.
    public var options: TaskOptions
}

/// Lists middleware, the outermost first.
@resultBuilder
public enum TaskMiddlewareBuilder {
    public static func buildExpression(_ middleware: some TaskMiddleware) -> [any TaskMiddleware] { [middleware] }
    public static func buildBlock(_ parts: [any TaskMiddleware]...) -> [any TaskMiddleware] { parts.flatMap(\.self) }
    public static func buildOptional(_ part: [any TaskMiddleware]?) -> [any TaskMiddleware] { part ?? [] }
    public static func buildEither(first part: [any TaskMiddleware]) -> [any TaskMiddleware] { part }
    public static func buildEither(second part: [any TaskMiddleware]) -> [any TaskMiddleware] { part }
    public static func buildArray(_ parts: [[any TaskMiddleware]]) -> [any TaskMiddleware] { parts.flatMap(\.self) }
}
