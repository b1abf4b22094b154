// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What holds back the tasks of a type, a domain, a group or all: a number at a time, a rate, a pause (T16).
///
/// Flows that it holds back wait with it and cost nothing until it has room.
struct Limiter: Sendable {
    /// Pulls at a time; nil for no limit. A pull runs its tasks one after the other.
    var concurrency: Int?
    var bucket: TokenBucket?
    /// Nothing starts before; the largest timestamp for a pause without an end.
    var pausedUntil: Timestamp?
    private(set) var running = 0
    /// When parked flows are looked at again because time has passed.
    var wakesAt: Timestamp?

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

    /// How many of `count` tasks may start in one pull.
    mutating func room(for count: Int, at now: Timestamp) -> Int {
        bucket == nil ? count : min(count, bucket!.available(at: now))
    }

    /// Pulls that may start beside those that run.
    func freePlaces(at now: Timestamp) -> Int {
        if let pausedUntil, now < pausedUntil { return 0 }
        return concurrency.map { max(0, $0 - running) } ?? .max
    }

    mutating func start(_ tasks: Int) {
        running += 1
        bucket?.take(tasks)
    }

    /// Tasks of a pull did not start after all.
    mutating func giveBack(_ tasks: Int) { bucket?.giveBack(tasks) }

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

    struct Iterator: IteratorProtocol {
        private let set: LimiterSet
        private var position = 0

        init(_ set: LimiterSet) { self.set = set }

        mutating func next() -> Int? {
            while position < 6 {
                let number =
                    switch position {
                    case 0: set.type
                    case 1: set.domain
                    case 2: set.group
                    case 3: set.everything
                    case 4: set.suspects
                    default: set.throttle
                    }
                position += 1
                if number >= 0 { return Int(number) }
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(self) }
}
