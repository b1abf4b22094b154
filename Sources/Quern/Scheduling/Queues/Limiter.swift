// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What holds back the tasks of a type, a domain, a group or all: a number at a time, a rate, a budget, a pause (T16).
///
/// Flows that it holds back wait with it and cost nothing until it has room.
struct Limiter: Sendable {
    /// What its bucket counts.
    enum Unit: Sendable {
        case starts
        /// What tasks are expected to read and write.
        case bytes
    }

    let unit: Unit
    /// Pulls at a time; nil for no limit. A pull runs its tasks one after the other.
    var concurrency: Int?
    var bucket: TokenBucket?
    /// Nothing starts before; the largest timestamp for a pause without an end.
    var pausedUntil: Timestamp?
    private(set) var running = 0
    /// When parked flows are looked at again because time has passed.
    var wakesAt: Timestamp?

    init(counting unit: Unit = .starts) { self.unit = unit }

    /// What `tasks` take of its bucket that are expected to read and write so many bytes each.
    func cost(of tasks: Int, _ bytes: Float) -> Int {
        switch unit {
        case .starts: return tasks
        case .bytes:
            let (cost, overflow) = max(1, Int(bytes)).multipliedReportingOverflow(by: tasks)
            return overflow ? .max : cost
        }
    }

    /// Whether it limits nothing, and nothing runs under it.
    var isIdle: Bool { concurrency == nil && bucket == nil && pausedUntil == nil && running == 0 }

    enum Obstacle: Equatable {
        case concurrency
        /// A pause or the rate.
        case time(until: Timestamp)
    }

    /// Why no task may start now.
    mutating func obstacle(at now: Timestamp) -> Obstacle? {
        if let pausedUntil, now < pausedUntil { return .time(until: pausedUntil) }
        if let concurrency, running >= concurrency { return .concurrency }
        if bucket != nil, bucket!.available(at: now) < 1 { return .time(until: bucket!.nextToken(after: now)) }
        return nil
    }

    /// How many of `count` tasks may start in one pull, while nothing holds them back: one at least.
    mutating func room(for count: Int, _ bytes: Float, at now: Timestamp) -> Int {
        if bucket == nil { return count }
        return min(count, max(1, available(at: now) / cost(of: 1, bytes)))
    }

    /// How much of its bucket there is; all there can be when it has none.
    mutating func available(at now: Timestamp) -> Int { bucket?.available(at: now) ?? .max }

    /// Pulls that may start beside those that run.
    func freePlaces(at now: Timestamp) -> Int {
        if let pausedUntil, now < pausedUntil { return 0 }
        return concurrency.map { max(0, $0 - running) } ?? .max
    }

    mutating func start(_ tasks: Int, _ bytes: Float, at now: Timestamp) {
        running += 1
        guard bucket != nil else { return }
        let cost = cost(of: tasks, bytes)
        bucket?.take(cost, at: now)
    }

    /// Tasks of a pull did not start after all.
    mutating func giveBack(_ tasks: Int, _ bytes: Float) {
        guard bucket != nil else { return }
        let cost = cost(of: tasks, bytes)
        bucket?.giveBack(cost)
    }

    /// The tasks of a pull took so much more than they were expected to, or less when it is negative.
    mutating func settle(_ difference: Int, at now: Timestamp) {
        if difference < 0 { bucket?.giveBack(-difference) } else { bucket?.take(difference, at: now) }
    }

    mutating func finish() { running -= 1 }
}

/// The limiters that apply to a flow, by their numbers; -1 for none.
struct LimiterSet: Sendable, Equatable, Hashable, Sequence {
    var type: Int32
    var domain: Int32 = -1
    var group: Int32 = -1
    var everything: Int32 = -1
    /// That of tasks under suspicion, one of which may run at a time (T14).
    var suspects: Int32 = -1
    /// That of tasks that wait under some pressure.
    var throttle: Int32 = -1
    /// The budgets of tasks that are expected to read or write.
    var budgets: Budgets?

    struct Budgets: Sendable, Equatable, Hashable {
        var type: Int32 = -1
        var domain: Int32 = -1
        var group: Int32 = -1
        var everything: Int32 = -1
    }

    struct Iterator: IteratorProtocol {
        private let set: LimiterSet
        private var position = 0

        init(_ set: LimiterSet) { self.set = set }

        mutating func next() -> Int? {
            let end = set.budgets == nil ? 6 : 10
            while position < end {
                let number =
                    switch position {
                    case 0: set.type
                    case 1: set.domain
                    case 2: set.group
                    case 3: set.everything
                    case 4: set.suspects
                    case 5: set.throttle
                    case 6: set.budgets?.type ?? -1
                    case 7: set.budgets?.domain ?? -1
                    case 8: set.budgets?.group ?? -1
                    default: set.budgets?.everything ?? -1
                    }
                position += 1
                if number >= 0 { return Int(number) }
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(self) }
}

/// What a pull counts against, and what each of its tasks takes of the budgets.
struct Charge: Sendable, Equatable {
    var limiters: LimiterSet
    /// Bytes that each is expected to read and write.
    var taskBytes: Float = 0
}
