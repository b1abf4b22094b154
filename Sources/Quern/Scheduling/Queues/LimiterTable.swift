// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Which limiters hold back which tasks: those of their type, domain and group, and that of all tasks.
struct LimiterTable: Sendable {
    let everything: Int
    /// For tasks that were in flight when the process died: one at a time, so that only the culprit is blamed (T14).
    let suspects: Int
    /// Those of the classes that pressure holds back, from class 1 on.
    let throttles: [Int]
    /// By the raw value of the label; without group.
    private var types: [LimiterSet] = []
    private var domains: [String: Int32] = [:]
    var groups = GroupTable()

    init(_ facts: [TypeFacts?], _ throttle: Throttle, in queues: inout ReadyQueues) {
        everything = queues.addLimiter()
        suspects = queues.addLimiter()
        throttles = throttle.bounds.map { _ in queues.addLimiter() }
        // Full buckets have nothing to do with the time.
        let now = Timestamp(milliseconds: 0)
        queues.update(suspects, now: now) { $0.concurrency = 1 }
        // The labels that a type has for its earlier versions and names share its limits.
        var known: [Label: LimiterSet] = [:]
        for facts in facts {
            var set = LimiterSet(type: -1, everything: Int32(everything))
            if let shared = facts?.label.flatMap({ known[$0] }) {
                set = shared
            } else if let facts {
                set.type = Int32(queues.addLimiter())
                queues.update(Int(set.type), now: now) { limiter in
                    limiter.concurrency = facts.concurrency
                    limiter.bucket = facts.rate.map { TokenBucket($0, now: now) }
                }
                if let domain = facts.domain {
                    set.domain = domains[domain] ?? Int32(queues.addLimiter())
                    domains[domain] = set.domain
                    queues.update(Int(set.domain), now: now) { $0.concurrency = facts.domainConcurrency }
                }
                if let label = facts.label { known[label] = set }
            }
            types.append(set)
        }
    }

    /// What holds back the tasks of a flow.
    func set(of key: Flow.Key) -> LimiterSet {
        let index = Int(key.label.rawValue)
        var set = index < types.count ? types[index] : LimiterSet(type: -1, everything: Int32(everything))
        set.group = groups.limiter(of: key.group)
        if key.isSuspect { set.suspects = Int32(suspects) }
        if key.throttle > 0 { set.throttle = Int32(throttles[Int(key.throttle) - 1]) }
        return set
    }

    func limiter(ofType label: Label) -> Int? {
        let index = Int(label.rawValue)
        return index < types.count && types[index].type >= 0 ? Int(types[index].type) : nil
    }

    func limiter(ofDomain name: String) -> Int? { domains[name].map(Int.init) }
}
