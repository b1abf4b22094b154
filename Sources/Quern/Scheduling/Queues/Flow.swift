// SPDX-License-Identifier: Apache-2.0
import DequeModule
import QuernStore

/// The tasks of one type and group that wait for a worker in one place, by priority and then first come, first served.
///
/// What holds back one of them holds back all, so that they are looked at as one.
struct Flow: Sendable {
    struct Key: Hashable, Sendable {
        var place: HandlerPlace
        var label: Label
        /// The number of the group; 0 for none.
        var group: Int32 = 0
        /// `finalize` instead of `execute`.
        var finalizes = false
        /// Tasks that were in flight when the process died (T14).
        var isSuspect = false
        /// What of the pressure holds them back: see ``Throttle``.
        var throttle: UInt16 = 0
        /// Whether they are expected to read or write, so that budgets hold them back.
        var takesBytes = false

        /// Whether its tasks are pulled one at a time.
        var isSingle: Bool { finalizes || isSuspect }
    }

    /// Tasks of one run that came together.
    struct Waiting: Sendable {
        var entry: ReadyRun
        /// Grows from one to the next.
        var number: UInt64
        var since: Timestamp
    }

    /// Where a flow is: with those that may run in its place, or parked with the limiter that holds it back.
    enum Home: Hashable, Sendable {
        case place(HandlerPlace)
        case limiter(Int)
    }

    private struct Bucket: Sendable {
        var priority: UInt8
        var waiting: Deque<Waiting>
    }

    let key: Key
    let limiters: LimiterSet
    /// By priority. Empty buckets stay until the flow goes: there are few, and they fill again.
    private var buckets: [Bucket] = []
    private(set) var count = 0
    /// The heap that it is in, and its entry there.
    var home: Home
    var generation: UInt64 = 0

    init(_ key: Key, _ limiters: LimiterSet) {
        self.key = key
        self.limiters = limiters
        home = .place(key.place)
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ waiting: Waiting) {
        count += waiting.entry.count
        buckets[bucket(of: waiting.entry.priority)].waiting.append(waiting)
    }

    /// Puts tasks that were taken before in front of the others of their priority. They count as having waited as long
    /// as those: else what has aged more behind them would interrupt them each time that they are taken.
    mutating func prepend(_ waiting: Waiting) {
        count += waiting.entry.count
        let index = bucket(of: waiting.entry.priority)
        var waiting = waiting
        if let next = buckets[index].waiting.first { waiting.since = min(waiting.since, next.since) }
        buckets[index].waiting.prepend(waiting)
    }

    private mutating func bucket(of priority: UInt8) -> Int {
        let index = buckets.partition { $0.priority >= priority }
        if index == buckets.count || buckets[index].priority != priority {
            buckets.insert(Bucket(priority: priority, waiting: []), at: index)
        }
        return index
    }

    /// Where the next tasks are, and the level that they have by now.
    private func first(_ aging: Aging?, now: Timestamp) -> (bucket: Int, level: Int, number: UInt64)? {
        var best: (bucket: Int, level: Int, number: UInt64)?
        for index in buckets.indices {
            guard let waiting = buckets[index].waiting.first else { continue }
            let level =
                aging?.level(of: buckets[index].priority, since: waiting.since, now: now)
                ?? Int(buckets[index].priority)
            if let known = best, (known.level, known.number) < (level, waiting.number) { continue }
            best = (index, level, waiting.number)
            // Without aging the first bucket is the best one.
            if aging == nil { break }
        }
        return best
    }

    /// What the flow's next task competes with. Nil when there is none.
    func head(_ aging: Aging?, now: Timestamp) -> (level: Int, number: UInt64)? {
        first(aging, now: now).map { ($0.level, $0.number) }
    }

    /// How many bytes each of the flow's next tasks is expected to read and write.
    func nextBytes(_ aging: Aging?, now: Timestamp) -> Float {
        guard key.takesBytes, let next = first(aging, now: now) else { return 0 }
        return buckets[next.bucket].waiting[0].entry.ioBytes
    }

    /// Takes up to `limit` tasks of one run.
    ///
    /// - Returns: the tasks, and since when they have waited.
    mutating func take(_ limit: Int, _ aging: Aging?, now: Timestamp) -> (tasks: ReadyRun, since: Timestamp)? {
        guard let (index, _, _) = first(aging, now: now) else { return nil }
        let since = buckets[index].waiting[0].since
        let taken = buckets[index].waiting[0].entry.takeFirst(limit)
        if buckets[index].waiting[0].entry.bits == 0 { buckets[index].waiting.removeFirst() }
        count -= taken.count
        return (taken, since)
    }

    /// Takes out the tasks that `select` names of each run.
    mutating func remove(_ select: (ReadyRun) -> UInt64, _ removed: (ReadyRun) -> Void) {
        for index in buckets.indices where buckets[index].waiting.contains(where: { select($0.entry) != 0 }) {
            var kept: Deque<Waiting> = []
            for var waiting in buckets[index].waiting {
                let taken = waiting.entry.take(select(waiting.entry))
                if taken.bits != 0 {
                    count -= taken.count
                    removed(taken)
                }
                if waiting.entry.bits != 0 { kept.append(waiting) }
            }
            buckets[index].waiting = kept
        }
    }
}

/// Tasks that wait long are treated as if they had a better priority: by one level for each interval (T16).
struct Aging: Sendable, Equatable {
    let interval: Duration

    func level(of priority: UInt8, since: Timestamp, now: Timestamp) -> Int {
        let (waited, overflow) = now.rawValue.subtractingReportingOverflow(since.rawValue)
        guard !overflow, waited > 0 else { return Int(priority) }
        return max(0, Int(priority) - Int(min(Double(waited) / max(1, interval.inMilliseconds), 256)))
    }
}
