// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension TaskScheduler {
    /// Changes how many handlers run at a time (T16). Those that run finish first.
    ///
    /// - Parameter most: 0 for none; for ``LimitScope/everything`` at least 1. Nil for no limit; for `everything` what
    ///   the configuration says.
    /// - Throws: ``SchedulerError`` with `notRegistered` when there is no such type or domain.
    /// - Complexity: O(what was held back). Not durable.
    public func setConcurrency(_ most: Int?, for scope: LimitScope) throws(SchedulerError) {
        try core.update(scope) { dispatcher, limiter in
            if scope == .everything {
                dispatcher.limits.concurrency = SchedulerCore.places(most ?? self.core.concurrency)
                self.core.threads.setLimit(dispatcher.limits.concurrency + 1)
            } else {
                dispatcher.queues.update(limiter, now: dispatcher.now) { $0.concurrency = most.map { max(0, $0) } }
            }
        }
    }

    /// Changes how many tasks may start in a time (T16). An attempt counts as a start, and so does a `finalize`.
    ///
    /// - Parameter rate: nil for no limit.
    /// - Throws: ``SchedulerError`` with `notRegistered` when there is no such type or domain.
    /// - Complexity: O(what was held back). Not durable.
    public func setRate(_ rate: RateLimit?, for scope: LimitScope) throws(SchedulerError) {
        try core.update(scope) { dispatcher, limiter in
            let now = dispatcher.now
            dispatcher.queues.update(limiter, now: now) { $0.bucket = rate.map { TokenBucket($0, now: now) } }
        }
    }

    /// Changes how many bytes tasks read and write in a time (T16).
    ///
    /// A task takes what it is expected to read and write (``TaskOptions/expectedIO``) each time that its handler is
    /// called, `finalize` too; what handlers then say that they did (``TaskContext/recordIO(read:written:)``) counts
    /// instead. Tasks that are expected to do neither are never held back, but what they say counts.
    ///
    /// - Parameter budget: nil for no limit.
    /// - Throws: ``SchedulerError`` with `notRegistered` when there is no such type or domain.
    /// - Complexity: O(what was held back). Not durable.
    public func setIOBudget(_ budget: ByteBudget?, for scope: LimitScope) throws(SchedulerError) {
        try core.update(scope, unit: .bytes) { dispatcher, limiter in
            let now = dispatcher.now
            dispatcher.queues.update(limiter, now: now) { $0.bucket = budget.map { TokenBucket($0, now: now) } }
        }
    }

    /// Changes a group's share of the workers (T16): one of weight 2 gets twice as much as one of weight 1 while tasks
    /// of the same priority of both wait.
    ///
    /// - Parameter weight: 0.001 to a million; 1 unless it was set.
    /// - Complexity: O(1). Not durable.
    public func setWeight(_ weight: Double, ofGroup name: String) {
        core.perform { state in
            let number = state.dispatcher.limiters.groups.number(of: name, in: &state.dispatcher.queues)
            state.dispatcher.queues.setWeight(weight, ofGroup: number)
        }
    }
}

extension SchedulerCore {
    /// Changes the limiter of a scope.
    func update(
        _ scope: LimitScope, unit: Limiter.Unit = .starts,
        _ change: @Sendable (inout Dispatcher, _ limiter: Int) -> Void
    ) throws(SchedulerError) {
        let label: Label? = if case .type(let type) = scope { types.label(named: type) } else { nil }
        let isKnown = perform { state in
            guard let limiter = state.dispatcher.limiter(of: scope, label: label, unit: unit) else { return false }
            change(&state.dispatcher, limiter)
            return true
        }
        if !isKnown { throw SchedulerError(.notRegistered, "nothing is registered for \(scope)") }
    }
}

extension Dispatcher {
    /// - Parameters:
    ///   - label: that of the type, when the scope is one.
    ///   - unit: what it counts.
    /// - Returns: nil when nothing is registered for it.
    mutating func limiter(of scope: LimitScope, label: Label?, unit: Limiter.Unit = .starts) -> Int? {
        switch (scope, unit) {
        case (.everything, .starts): return limiters.everything
        case (.everything, .bytes): return limiters.everythingBudget
        case (.type, .starts): return label.flatMap(limiters.limiter(ofType:))
        case (.type, .bytes): return label.flatMap(limiters.budget(ofType:))
        case (.domain(let name), .starts): return limiters.limiter(ofDomain: name)
        case (.domain(let name), .bytes): return limiters.budget(ofDomain: name)
        case (.group(let name), _):
            let number = limiters.groups.number(of: name, in: &queues)
            if unit == .bytes { return Int(limiters.groups.budget(of: number, in: &queues)) }
            return Int(limiters.groups.limiter(of: number))
        }
    }
}
