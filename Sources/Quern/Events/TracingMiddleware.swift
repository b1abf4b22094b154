// SPDX-License-Identifier: Apache-2.0
import Instrumentation
import QuernStore
public import Tracing

/// Puts a span around each call of a handler, below the span in which the task was spawned or submitted.
///
/// ```swift
/// let scheduler = try await TaskScheduler(storeAt: path) {
///     $0.use { TracingMiddleware() }
///     $0.register(Uploader())
/// }
/// ```
///
/// The trace's context is stored with the task, so that it outlives the process. A span is named after the task's type,
/// with `finalize` behind it for that, and has the attributes `task.id`, `task.parent` and `task.attempt`; an error
/// that a handler throws is recorded in it.
///
/// It costs what the tracer costs for each task, and tasks of different traces are not stored side by side: for
/// hundreds of thousands of quick children trace their parent alone, with a middleware of your own.
public struct TracingMiddleware: TaskMiddleware {
    let tracer: any Tracer

    /// - Parameter tracer: what `InstrumentationSystem` was bootstrapped with, unless another is given.
    public init(tracer: any Tracer = InstrumentationSystem.tracer) { self.tracer = tracer }

    public func execute(
        _ task: some DurableTask, in context: TaskContext, next: () async throws -> Void
    ) async throws {
        let parent = context.core.traceContext(of: context.id, tracer)
        try await trace(type(of: task).type.name, parent, context.id, context.parent, context.attempt, next)
    }

    public func finalize(
        _ task: some DurableTask, in context: FinalizeContext, next: () async throws -> Void
    ) async throws {
        let parent = context.core.traceContext(of: context.id, tracer)
        try await trace(
            type(of: task).type.name + " finalize", parent, context.id, context.parent, context.attempt, next)
    }

    private func trace(
        _ name: String, _ context: ServiceContext, _ id: TaskID, _ parent: TaskID, _ attempt: UInt32,
        _ next: () async throws -> Void
    ) async throws {
        try await tracer.withAnySpan(name, context: context, ofKind: .consumer) { span in
            span.attributes["task.id"] = "\(id)"
            if parent != .none { span.attributes["task.parent"] = "\(parent)" }
            span.attributes["task.attempt"] = Int64(attempt)
            // It records what is thrown.
            try await next()
        }
    }
}

extension SchedulerCore {
    /// The context that a task was spawned in.
    func traceContext(of task: TaskID, _ tracer: any Tracer) -> ServiceContext {
        var context = ServiceContext.topLevel
        guard let run = store.run(of: task), let attributes = attributes(of: run) else { return context }
        tracer.extract(attributes.traceContext, into: &context, using: TraceFields())
        return context
    }

    /// Terms that carry the current trace's context; the same when there is none.
    ///
    /// - Throws: `invalidOptions` when that does not fit in with the other options.
    func traced(_ terms: SpawnTerms, _ tracer: any Tracer) throws(SchedulerError) -> SpawnTerms {
        guard let context = ServiceContext.current else { return terms }
        var fields: [TaskAttributes.TraceField] = []
        tracer.inject(context, into: &fields, using: TraceFields())
        return fields.isEmpty ? terms : try SpawnTerms(terms, traceContext: fields)
    }
}

/// Puts a trace's context into a task's attributes, and takes it out.
private struct TraceFields: Injector, Extractor {
    func inject(_ value: String, forKey key: String, into carrier: inout [TaskAttributes.TraceField]) {
        carrier.append(TaskAttributes.TraceField(name: key, value: value))
    }

    func extract(key: String, from carrier: [TaskAttributes.TraceField]) -> String? {
        carrier.first { $0.name == key }?.value
    }
}
