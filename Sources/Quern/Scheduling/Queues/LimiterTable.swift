// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Which limiters hold back which tasks: those of their type, domain and group, and that of all tasks.
struct LimiterTable: Sendable {
    let everything: Int
    /// For tasks that were in flight when the process died: one at a time, so that only the culprit is blamed (T14).
    let suspects: Int
    /// By the raw value of the label; without group.
    private var types: [LimiterSet] = []
    private var domains: [String: Int32] = [:]
    /// By the number of the group.
    private var groups: [Int32] = [-1]
    private var groupNumbers: [String: Int32] = [:]

    init(_ facts: [TypeFacts?], in queues: inout ReadyQueues) {
        everything = queues.addLimiter()
        suspects = queues.addLimiter()
        // Full buckets have nothing to do with the time.
        let now = Timestamp(milliseconds: 0)
        queues.update(suspects, now: now) { $0.concurrency = 1 }
        for facts in facts {
            var set = LimiterSet(type: -1, everything: Int32(everything))
            if let facts {
                set.type = Int32(queues.addLimiter())
                queues.update(Int(set.type), now: now) { limiter in
                    limiter.concurrency = facts.concurrency
                    limiter.bucket = facts.rate.map { TokenBucket($0, now: now) }
                }
                if let domain = facts.domain {
                    set.domain = domains[domain] ?? Int32(queues.addLimiter())
                    domains[domain] = set.domain
                }
            }
            types.append(set)
        }
    }

    /// What holds back the tasks of a flow.
    func set(of key: Flow.Key) -> LimiterSet {
        let index = Int(key.label.rawValue)
        var set = index < types.count ? types[index] : LimiterSet(type: -1, everything: Int32(everything))
        set.group = groups[Int(key.group)]
        if key.isSuspect { set.suspects = Int32(suspects) }
        return set
    }

    func limiter(ofType label: Label) -> Int? {
        let index = Int(label.rawValue)
        return index < types.count && types[index].type >= 0 ? Int(types[index].type) : nil
    }

    func limiter(ofDomain name: String) -> Int? { domains[name].map(Int.init) }

    func limiter(ofGroup number: Int32) -> Int { Int(groups[Int(number)]) }

    /// The number that stands for a group; a new one when nobody asked before.
    mutating func number(ofGroup name: String, in queues: inout ReadyQueues) -> Int32 {
        if let number = groupNumbers[name] { return number }
        let number = Int32(groups.count)
        groups.append(Int32(queues.addLimiter()))
        groupNumbers[name] = number
        return number
    }
}
