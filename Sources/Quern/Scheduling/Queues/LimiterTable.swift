// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Which limiters hold back which tasks: those of their type, domain and group, and that of all tasks.
struct LimiterTable: Sendable {
    let everything: Int
    /// That of all tasks that are expected to read or write.
    let everythingBudget: Int
    /// For tasks that were in flight when the process died: one at a time, so that only the culprit is blamed (T14).
    let suspects: Int
    /// Those of the classes that pressure holds back, from class 1 on.
    let throttles: [Int]
    /// By the raw value of the label; without group.
    private var types: [LimiterSet] = []
    /// The limiter of each domain, and that of its budget.
    private var domains: [String: (limiter: Int32, budget: Int32)] = [:]
    var groups = GroupTable()

    init(_ facts: [TypeFacts?], _ throttle: Throttle, _ budget: ByteBudget?, in queues: inout ReadyQueues) {
        everything = queues.addLimiter()
        everythingBudget = queues.addLimiter(counting: .bytes)
        suspects = queues.addLimiter()
        throttles = throttle.bounds.map { _ in queues.addLimiter() }
        // Full buckets have nothing to do with the time.
        let now = Timestamp(milliseconds: 0)
        queues.update(suspects, now: now) { $0.concurrency = 1 }
        queues.update(everythingBudget, now: now) { $0.bucket = budget.map { TokenBucket($0, now: now) } }
        // The labels that a type has for its earlier versions and names share its limits.
        var known: [Label: LimiterSet] = [:]
        for facts in facts {
            var set = LimiterSet(type: -1, everything: Int32(everything))
            var budgets = LimiterSet.Budgets(everything: Int32(everythingBudget))
            if let shared = facts?.label.flatMap({ known[$0] }) {
                set = shared
            } else if let facts {
                set.type = Int32(queues.addLimiter())
                queues.update(Int(set.type), now: now) { limiter in
                    limiter.concurrency = facts.concurrency
                    limiter.bucket = facts.rate.map { TokenBucket($0, now: now) }
                }
                budgets.type = Int32(queues.addLimiter(counting: .bytes))
                queues.update(Int(budgets.type), now: now) { limiter in
                    limiter.bucket = facts.ioBudget.map { TokenBucket($0, now: now) }
                }
                if let domain = facts.domain {
                    let known = domains[domain]
                    set.domain = known?.limiter ?? Int32(queues.addLimiter())
                    budgets.domain = known?.budget ?? Int32(queues.addLimiter(counting: .bytes))
                    domains[domain] = (set.domain, budgets.domain)
                    queues.update(Int(set.domain), now: now) { $0.concurrency = facts.domainConcurrency }
                    queues.update(Int(budgets.domain), now: now) { limiter in
                        limiter.bucket = facts.domainBudget.map { TokenBucket($0, now: now) }
                    }
                }
                set.budgets = budgets
                if let label = facts.label { known[label] = set }
            }
            types.append(set)
        }
    }

    /// What holds back the tasks of a flow.
    mutating func set(of key: Flow.Key, in queues: inout ReadyQueues) -> LimiterSet {
        let index = Int(key.label.rawValue)
        var set = index < types.count ? types[index] : LimiterSet(type: -1, everything: Int32(everything))
        if key.takesBytes {
            set.budgets?.group = groups.budget(of: key.group, in: &queues)
        } else {
            set.budgets = nil
        }
        set.group = groups.limiter(of: key.group)
        if key.isSuspect { set.suspects = Int32(suspects) }
        if key.throttle > 0 { set.throttle = Int32(throttles[Int(key.throttle) - 1]) }
        return set
    }

    /// The budgets that tasks of a type and group count against.
    mutating func budgets(of label: Label, group: Int32, in queues: inout ReadyQueues) -> LimiterSet {
        let key = Flow.Key(place: .cooperative, label: label, group: group, takesBytes: true)
        return LimiterSet(type: -1, budgets: set(of: key, in: &queues).budgets)
    }

    func limiter(ofType label: Label) -> Int? {
        let index = Int(label.rawValue)
        return index < types.count && types[index].type >= 0 ? Int(types[index].type) : nil
    }

    func limiter(ofDomain name: String) -> Int? { domains[name].map { Int($0.limiter) } }

    func budget(ofType label: Label) -> Int? {
        let index = Int(label.rawValue)
        return index < types.count ? types[index].budgets.map { Int($0.type) } : nil
    }

    func budget(ofDomain name: String) -> Int? { domains[name].map { Int($0.budget) } }
}
