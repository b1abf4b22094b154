// SPDX-License-Identifier: Apache-2.0

/// The middleware around the tasks of a type, the outermost first.
struct MiddlewareChain: Sendable {
    let all: [any TaskMiddleware]

    var isEmpty: Bool { all.isEmpty }

    typealias Next = () async throws -> Void

    /// - Parameter call: what is asked of each.
    /// - Throws: what they throw or `body` throws, whether they let it pass or not; `PermanentError` when `body` was
    ///   not called. A second call of it throws that, too: what it spawns would be doubled.
    func around<Output>(
        _ call: @escaping (any TaskMiddleware, Next) async throws -> Void, _ body: @escaping () async throws -> Output
    ) async throws -> Output {
        var result: Result<Output, any Error>?
        try await pass(0, call) {
            if result != nil { throw PermanentError(reason: "a middleware called the handler twice") }
            do { result = .success(try await body()) } catch {
                result = .failure(error)
                throw error
            }
        }
        guard let result else { throw PermanentError(reason: "a middleware did not call the handler") }
        return try result.get()
    }

    private func pass(
        _ index: Int, _ call: @escaping (any TaskMiddleware, Next) async throws -> Void, _ body: @escaping Next
    ) async throws {
        guard index < all.count else { return try await body() }
        try await call(all[index]) { try await pass(index + 1, call, body) }
    }

    /// - Throws: `refused` when they throw, or do not call `body`; what `body` throws, whether they let it pass or not.
    ///   A second call of it throws `refused`, too: what it submits would be doubled.
    func submit(
        _ submission: TaskSubmission, _ body: @escaping (TaskSubmission) async throws(SchedulerError) -> Void
    ) async throws(SchedulerError) {
        var isPassed = false
        var result: Result<Void, SchedulerError>?
        do {
            try await pass(0, submission) { submission in
                if isPassed { throw SchedulerError(.refused, "a middleware passed the tasks on twice") }
                isPassed = true
                do throws(SchedulerError) { result = .success(try await body(submission)) } catch {
                    result = .failure(error)
                    throw error
                }
            }
        } catch {
            throw Self.refusal(error)
        }
        guard let result else { throw SchedulerError(.refused, "a middleware did not pass the tasks on") }
        try result.get()
    }

    /// Shows a root task to all.
    ///
    /// - Throws: `refused` when one throws.
    func inspect(_ task: some DurableTask, in submission: TaskSubmission) throws(SchedulerError) {
        for middleware in all {
            do { try middleware.inspect(task, in: submission) } catch { throw Self.refusal(error) }
        }
    }

    private static func refusal(_ error: any Error) -> SchedulerError {
        error as? SchedulerError ?? SchedulerError(.refused, "a middleware threw: \(error)")
    }

    private func pass(
        _ index: Int, _ submission: TaskSubmission, _ body: @escaping (TaskSubmission) async throws -> Void
    ) async throws {
        guard index < all.count else { return try await body(submission) }
        try await all[index].submit(submission) { try await pass(index + 1, $0, body) }
    }
}

/// A handler with middleware around it.
struct WrappedHandler<Handler: TaskHandler>: TaskHandler {
    let handler: Handler
    let middleware: MiddlewareChain

    func execute(_ task: Handler.Work, in context: TaskContext) async throws -> Handler.Work.Memo {
        try await middleware.around(
            { try await $0.execute(task, in: context, next: $1) }, { try await handler.execute(task, in: context) })
    }
}

/// A handler with `finalize` and with middleware around it.
struct WrappedOrchestrator<Handler: OrchestratorHandler>: OrchestratorHandler {
    let handler: Handler
    let middleware: MiddlewareChain

    func execute(_ task: Handler.Work, in context: TaskContext) async throws -> Handler.Handover {
        try await middleware.around(
            { try await $0.execute(task, in: context, next: $1) }, { try await handler.execute(task, in: context) })
    }

    func finalize(
        _ task: Handler.Work, handover: Handler.Handover, in context: FinalizeContext
    ) async throws -> Handler.Work.Memo {
        try await middleware.around(
            { try await $0.finalize(task, in: context, next: $1) },
            { try await handler.finalize(task, handover: handover, in: context) })
    }
}
