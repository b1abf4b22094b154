// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Which handler runs which tasks, and how: filled in when a scheduler is made.
///
/// ```swift
/// let scheduler = try await TaskScheduler(storeAt: path) {
///     $0.register(DirectoryScanner(), runsOn: .threads)
///     $0.register(CatalogScanner(), onChildFailure: .tolerate)
/// }
/// ```
public struct Registry: Sendable {
    struct Registration: Sendable {
        var type: TaskType
        var work: any DurableTask.Type
        var makeRunner: @Sendable (Label) -> any TaskRunner
    }

    private(set) var registrations: [Registration] = []
    /// The first error; the scheduler's initializer throws it.
    private(set) var error: SchedulerError?

    init() {}

    /// Registers a handler without `finalize`.
    ///
    /// A type that is registered twice, or whose name is empty or too long, makes the scheduler's initializer throw.
    ///
    /// - Parameters:
    ///   - retry: how often a failing task is tried; once by default.
    ///   - place: `.threads` for a handler that blocks; never let one block the cooperative pool.
    ///   - concurrency: how many tasks of the type run at a time; nil for no limit but the scheduler's.
    ///   - rate: how many of them start in a time; nil for no limit.
    public mutating func register<Handler: TaskHandler>(
        _ handler: Handler, retry: RetryPolicy = .none, runsOn place: HandlerPlace = .cooperative,
        concurrency: Int? = nil, rate: RateLimit? = nil
    ) {
        let hook = CancelHook<Handler.Work>(handler)
        let facts = TypeFacts(
            place: place, hasCancelHook: hook != nil, concurrency: concurrency.map { max(0, $0) }, rate: rate)
        let loop = ExecutionLoop(body: LeafBody(handler: handler), type: Handler.Work.type, retry: retry)
        add(Handler.Work.self) { LeafRunner<Handler>(label: $0, facts: facts, loop: loop, hook: hook) }
    }

    /// Registers a handler with `finalize`.
    ///
    /// A type that is registered twice, or whose name is empty or too long, makes the scheduler's initializer throw.
    ///
    /// - Parameters:
    ///   - retry: how often a failing `execute` is tried, and anew a failing `finalize`; once by default.
    ///   - place: where `execute` runs; `finalize` always runs on threads of the scheduler's own.
    ///   - policy: what a failed child means.
    ///   - concurrency: how many tasks of the type run at a time, `finalize` included; nil for no limit but the
    ///     scheduler's.
    ///   - rate: how many of them start in a time, `finalize` included; nil for no limit.
    public mutating func register<Handler: OrchestratorHandler>(
        _ handler: Handler, retry: RetryPolicy = .none, runsOn place: HandlerPlace = .cooperative,
        onChildFailure policy: ChildFailurePolicy = .failFast, concurrency: Int? = nil, rate: RateLimit? = nil
    ) {
        let hook = CancelHook<Handler.Work>(handler)
        let facts = TypeFacts(
            place: place, isOrchestrator: true, policy: policy, hasCancelHook: hook != nil,
            concurrency: concurrency.map { max(0, $0) }, rate: rate)
        let loop = ExecutionLoop(body: OrchestratorBody(handler: handler), type: Handler.Work.type, retry: retry)
        add(Handler.Work.self) { OrchestratorRunner<Handler>(label: $0, facts: facts, loop: loop, hook: hook) }
    }

    private mutating func add<Work: DurableTask>(
        _ work: Work.Type, _ makeRunner: @escaping @Sendable (Label) -> any TaskRunner
    ) {
        let type = work.type
        if !type.isValid {
            error = error ?? SchedulerError(.invalidTypeName, "\(work) is named \"\(type.name.prefix(40))\"")
        } else if registrations.contains(where: { $0.type == type }) {
            error = error ?? SchedulerError(.alreadyRegistered, "two handlers are registered for \(type)")
        } else {
            registrations.append(Registration(type: type, work: work, makeRunner: makeRunner))
        }
    }

    /// Gives each type its label in the store.
    func makeTable(in store: MemoStore) async throws(SchedulerError) -> TypeTable {
        if let error { throw error }
        var table = TypeTable()
        for registration in registrations {
            let label: Label
            do { label = try await store.label(for: registration.type.name) } catch { throw SchedulerError(error) }
            table.add(registration.makeRunner(label), for: registration.work)
        }
        return table
    }
}
