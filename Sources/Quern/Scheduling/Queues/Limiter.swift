// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What holds back the tasks of a type, a domain or a group: a number at a time, a rate, a pause (T16).
///
/// Flows that it holds back wait with it and cost nothing until it has room.
struct Limiter: Sendable {
    /// Pulls at a time; nil for no limit. A pull runs its tasks one after the other.
    var concurrency: Int?
    var bucket: TokenBucket?
    var isPaused = false
    private(set) var running = 0
    /// When parked flows are looked at again for the sake of the rate.
    var wakesAt: Timestamp?

    enum Obstacle: Equatable {
        case paused
        case concurrency
        case rate(until: Timestamp)
    }

    /// Why no task may start now.
    mutating func obstacle(at now: Timestamp) -> Obstacle? {
        if isPaused { return .paused }
        if let concurrency, running >= concurrency { return .concurrency }
        if bucket != nil, bucket!.available(at: now) < 1 { return .rate(until: bucket!.nextToken(after: now)) }
        return nil
    }

    /// How many of `count` tasks may start in one pull.
    mutating func room(for count: Int, at now: Timestamp) -> Int {
        bucket == nil ? count : min(count, bucket!.available(at: now))
    }

    /// Pulls that may start beside those that run.
    var freePlaces: Int {
        if isPaused { return 0 }
        return concurrency.map { max(0, $0 - running) } ?? .max
    }

    mutating func start(_ tasks: Int) {
        running += 1
        bucket?.take(tasks)
    }

    /// - Parameter unstarted: tasks of the pull that did not start after all.
    mutating func finish(unstarted: Int) {
        running -= 1
        bucket?.giveBack(unstarted)
    }
}

/// The limiters that apply to a flow, by their numbers; -1 for none.
struct LimiterSet: Sendable, Equatable, Hashable, Sequence {
    var type: Int32
    var domain: Int32 = -1
    var group: Int32 = -1

    struct Iterator: IteratorProtocol {
        private var next3: (Int32, Int32, Int32)
        private var position = 0

        init(_ set: LimiterSet) { next3 = (set.type, set.domain, set.group) }

        mutating func next() -> Int? {
            while position < 3 {
                let number = position == 0 ? next3.0 : position == 1 ? next3.1 : next3.2
                position += 1
                if number >= 0 { return Int(number) }
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(self) }
}
