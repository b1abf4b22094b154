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
        var work: any DurableTask.Type
        var facts: TypeFacts
        var retry: RetryPolicy?
        /// What its domain says; nothing outside of one.
        var domain: TaskOptions
        var makeRunner: @Sendable (RunnerTerms) -> any TaskRunner
    }

    private(set) var registrations: [Registration] = []
    /// The first error; the scheduler's initializer throws it.
    private(set) var error: SchedulerError?
    private var domains: Set<String> = []
    /// By domain; nil for all tasks.
    private var middleware: [String?: [any TaskMiddleware]] = [:]
    /// Aggregates that are kept up to date, each with the type of the parents.
    private(set) var maintained: [(parent: any DurableTask.Type, aggregate: MaintainedAggregate)] = []
    /// The domain that is registering now.
    private var domain: (any TaskDomain)?

    init() {}

    /// Registers a handler without `finalize`.
    ///
    /// A type that is registered twice, or whose name is empty or too long, makes the scheduler's initializer throw.
    ///
    /// - Parameters:
    ///   - retry: how often a failing task is tried; nil for what the type's, the domain's or the scheduler's options
    ///     say, and once when none says anything.
    ///   - place: `.threads` for a handler that blocks; never let one block the cooperative pool.
    ///   - concurrency: how many tasks of the type run at a time; nil for no limit but the domain's and the
    ///     scheduler's.
    ///   - rate: how many of them start in a time; nil for no limit.
    ///   - ioBudget: how many bytes they read and write in a time; nil for no limit.
    public mutating func register<Handler: TaskHandler>(
        _ handler: Handler, retry: RetryPolicy? = nil, runsOn place: HandlerPlace = .cooperative,
        concurrency: Int? = nil, rate: RateLimit? = nil,
        ioBudget: ByteBudget? = nil
    ) {
        let hook = CancelHook<Handler.Work>(handler)
        let facts = TypeFacts(
            place: place, hasCancelHook: hook != nil, concurrency: concurrency.map { max(0, $0) }, rate: rate,
            ioBudget: ioBudget)
        add(Handler.Work.self, facts, retry) { terms in
            if terms.middleware.isEmpty { return LeafRunner(terms, handler, hook) }
            return LeafRunner(terms, WrappedHandler(handler: handler, middleware: terms.middleware), hook)
        }
    }

    /// Registers a handler with `finalize`.
    ///
    /// A type that is registered twice, or whose name is empty or too long, makes the scheduler's initializer throw.
    ///
    /// - Parameters:
    ///   - retry: how often a failing `execute` is tried, and anew a failing `finalize`; nil for what the type's, the
    ///     domain's or the scheduler's options say, and once when none says anything.
    ///   - place: where `execute` runs; `finalize` always runs on threads of the scheduler's own.
    ///   - policy: what a failed child means.
    ///   - concurrency: how many tasks of the type run at a time, `finalize` included; nil for no limit but the
    ///     domain's and the scheduler's.
    ///   - rate: how many of them start in a time, `finalize` included; nil for no limit.
    ///   - ioBudget: how many bytes they read and write in a time, `finalize` included; nil for no limit.
    public mutating func register<Handler: OrchestratorHandler>(
        _ handler: Handler, retry: RetryPolicy? = nil, runsOn place: HandlerPlace = .cooperative,
        onChildFailure policy: ChildFailurePolicy = .failFast, concurrency: Int? = nil, rate: RateLimit? = nil,
        ioBudget: ByteBudget? = nil
    ) {
        let hook = CancelHook<Handler.Work>(handler)
        let facts = TypeFacts(
            place: place, isOrchestrator: true, policy: policy, hasCancelHook: hook != nil,
            concurrency: concurrency.map { max(0, $0) }, rate: rate, ioBudget: ioBudget)
        add(Handler.Work.self, facts, retry) { terms in
            if terms.middleware.isEmpty { return OrchestratorRunner(terms, handler, hook) }
            return OrchestratorRunner(terms, WrappedOrchestrator(handler: handler, middleware: terms.middleware), hook)
        }
    }

    /// Registers what a domain has. A domain that is registered within another one is one of its own.
    ///
    /// A domain whose name is taken, empty or too long makes the scheduler's initializer throw.
    ///
    /// - Throws: what the domain's `register(in:)` throws.
    public mutating func register(domain new: some TaskDomain) throws {
        if !TaskAttributes.isName(new.name) {
            error = error ?? SchedulerError(.invalidTypeName, "a domain is named \"\(new.name.prefix(40))\"")
        } else if !domains.insert(new.name).inserted {
            error = error ?? SchedulerError(.alreadyRegistered, "two domains are named \(new.name)")
        }
        let outer = domain
        domain = new
        defer { domain = outer }
        try new.register(in: &self)
    }

    /// Puts middleware around all tasks; within a domain's `register(in:)` around those of the domain, inside of what
    /// is around all.
    ///
    /// - Parameter list: the outermost first. What is used later is inside of what was used before.
    public mutating func use(@TaskMiddlewareBuilder _ list: () throws -> [any TaskMiddleware]) rethrows {
        middleware[domain?.name, default: []] += try list()
    }

    mutating func add(_ aggregate: MaintainedAggregate, under parent: any DurableTask.Type) {
        if maintained.contains(where: { $0.parent == parent && $0.aggregate.name == aggregate.name }) {
            let message = "two aggregates under \(parent.type) are named \(aggregate.name)"
            error = error ?? SchedulerError(.alreadyRegistered, message)
        }
        maintained.append((parent, aggregate))
    }

    func middleware(around domain: String?) -> [any TaskMiddleware] {
        (middleware[nil] ?? []) + (domain.flatMap { middleware[$0] } ?? [])
    }

    private mutating func add<Work: DurableTask>(
        _ work: Work.Type, _ facts: TypeFacts, _ retry: RetryPolicy?,
        _ makeRunner: @escaping @Sendable (RunnerTerms) -> any TaskRunner
    ) {
        var facts = facts
        facts.domain = domain?.name
        facts.domainConcurrency = domain?.concurrency.map { max(0, $0) }
        facts.domainBudget = domain?.ioBudget
        registrations.append(
            Registration(
                work: work, facts: facts, retry: retry, domain: domain?.options ?? TaskOptions(), makeRunner: makeRunner
            ))
    }
}
