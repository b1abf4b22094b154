// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernStore

/// The tasks that wait for a worker, and which of them is next (T16).
///
/// Tasks of one type, group and place make a ``Flow``. The flows that may run compete in a heap: by level (the
/// priority, less what waiting has gained them), then by how much their group has had in proportion to its weight, then
/// first come, first served. A flow that a ``Limiter`` holds back is parked with it, and is neither looked at nor
/// counted until the limiter has room: it costs the others nothing.
///
/// A plain state machine: no clock, no lock, no I/O. Taking a pull is O(log flows), also with a million tasks waiting.
struct ReadyQueues: Sendable {
    typealias FlowID = Int

    private struct Wake: Comparable, Sendable {
        var due: Timestamp
        var limiter: Int

        static func < (left: Wake, right: Wake) -> Bool { left.due < right.due }
    }

    /// What a pull was given: to be handed back when it is over.
    struct Grant: Sendable, Equatable {
        var entry: ReadyRun
        var finalizes: Bool
        var charge: Charge
        /// The priority, less what waiting had gained the tasks.
        var level: Int
        /// Since when the tasks had been ready.
        var since: Timestamp
    }

    let aging: Aging?
    private var limiters: [Limiter] = []
    private var freeLimiters: [Int] = []
    /// The flows that each limiter holds back.
    private var parked: [Heap<Candidate>] = []
    private var flows: [Flow?] = []
    private var freeFlows: [FlowID] = []
    private var flowIDs: [Flow.Key: FlowID] = [:]
    private var cooperative = Heap<Candidate>()
    private var threads = Heap<Candidate>()
    private var wakes = Heap<Wake>()
    private var groups = FairShares()
    private var nextNumber: UInt64 = 1 << 63
    /// Numbers of tasks that go in front of all others, counting down.
    private var frontNumber: UInt64 = 1 << 63
    /// Numbers of `finalize`, which frees what the children left: before the others of its level and group.
    private var finalizeNumber: UInt64 = 1 << 62
    private var nextGeneration: UInt64 = 0
    private var agedAt = Timestamp(milliseconds: .min)
    /// Tasks that wait, those that are held back included.
    private(set) var count = 0

    init(aging: Aging? = nil) { self.aging = aging }

    /// Tells which tasks wait, those that are held back included.
    func forEachFlow(_ body: (Flow.Key, _ count: Int) -> Void) {
        for case let flow? in flows { body(flow.key, flow.count) }
    }

    private subscript(home: Flow.Home) -> Heap<Candidate> {
        _read {
            switch home {
            case .place(.cooperative): yield cooperative
            case .place(.threads): yield threads
            case .limiter(let limiter): yield parked[limiter]
            }
        }
        _modify {
            switch home {
            case .place(.cooperative): yield &cooperative
            case .place(.threads): yield &threads
            case .limiter(let limiter): yield &parked[limiter]
            }
        }
    }
}

// MARK: - Limits

extension ReadyQueues {
    /// A limiter that holds nothing back yet.
    mutating func addLimiter(counting unit: Limiter.Unit = .starts) -> Int {
        if let free = freeLimiters.popLast() {
            limiters[free] = Limiter(counting: unit)
            return free
        }
        limiters.append(Limiter(counting: unit))
        parked.append(Heap())
        return limiters.count - 1
    }

    /// Takes back the limiters of a group without tasks, unless one holds something back, a pull runs under it, or the
    /// group has a weight of its own.
    ///
    /// - Parameter budget: -1 for none.
    mutating func removeIdle(_ limiter: Int32, budget: Int32, group: Int32) -> Bool {
        let all = [limiter, budget].filter { $0 >= 0 }.map(Int.init)
        guard all.allSatisfy({ limiters[$0].isIdle }), groups.removeIdle(group) else { return false }
        for limiter in all {
            // A wake that is left in the heap finds nothing to do.
            limiters[limiter] = Limiter()
            parked[limiter] = Heap()
            freeLimiters.append(limiter)
        }
        return true
    }

    /// Whether tasks wait that were in flight when the process died. O(flows).
    var hasSuspects: Bool { flowIDs.keys.contains(where: \.isSuspect) }

    /// Changes a limiter, also while tasks run under it. What it no longer holds back competes again.
    mutating func update(_ limiter: Int, now: Timestamp, _ change: (inout Limiter) -> Void) {
        change(&limiters[limiter])
        unpark(limiter, most: limiters[limiter].freePlaces(at: now), now: now)
    }

    /// Whether something runs under a limiter.
    func isUsed(_ limiter: Int) -> Bool { limiters[limiter].running > 0 }

    mutating func setWeight(_ weight: Double, ofGroup group: Int32) { groups.setWeight(weight, of: group) }

    /// When to call ``timePassed(until:)`` next.
    var nextWake: Timestamp? {
        let rise = count > 0 ? aging.map { agedAt.advanced(by: $0.interval) } : nil
        guard let due = wakes.min?.due else { return rise }
        return rise.map { min($0, due) } ?? due
    }

    /// Time has passed: lets rates fill and, when an interval is over, waiting tasks rise.
    mutating func timePassed(until now: Timestamp) {
        while let first = wakes.min, first.due <= now {
            wakes.removeMin()
            limiters[first.limiter].wakesAt = nil
            unpark(first.limiter, most: limiters[first.limiter].available(at: now), now: now)
        }
        guard let aging, now >= agedAt.advanced(by: aging.interval) else { return }
        agedAt = now
        rebuild(.place(.cooperative), now: now)
        rebuild(.place(.threads), now: now)
        for limiter in limiters.indices { rebuild(.limiter(limiter), now: now) }
    }

    /// Else what waits for a time span would wait until the clock shows again what it showed. O(limiters).
    mutating func clockWasSetBack(to now: Timestamp) {
        agedAt = min(agedAt, now)
        for limiter in limiters.indices where !parked[limiter].isEmpty {
            limiters[limiter].wakesAt = nil
            unpark(limiter, most: limiters[limiter].available(at: now), now: now)
        }
    }
}

// MARK: - In and out

extension ReadyQueues {
    /// Tasks wait from now on.
    ///
    /// - Parameter since: since when they had waited before, of tasks that were taken and did not start, so that they
    ///   go before the others again; nil for new ones.
    mutating func add(
        _ entry: ReadyRun, to key: Flow.Key, _ limiters: LimiterSet, backSince since: Timestamp? = nil, now: Timestamp
    ) {
        guard entry.bits != 0 else { return }
        let id = flowIDs[key] ?? makeFlow(key, limiters)
        count += entry.count
        let before = flows[id]!.head(aging, now: now)
        if key.finalizes {
            finalizeNumber += 1
            flows[id]!.append(Flow.Waiting(entry: entry, number: finalizeNumber, since: now))
        } else if let since {
            frontNumber -= 1
            flows[id]!.prepend(Flow.Waiting(entry: entry, number: frontNumber, since: since))
        } else {
            nextNumber += 1
            flows[id]!.append(Flow.Waiting(entry: entry, number: nextNumber, since: now))
        }
        // A flow in a heap under an older head that is no worse than the new one is found there.
        if let before, let after = flows[id]!.head(aging, now: now), before <= after { return }
        enter(id, flows[id]!.home, now: now)
        if case .limiter(let limiter) = flows[id]!.home { unpark(limiter, most: 1, now: now) }
    }

    /// The next tasks for a worker in `place`: up to `size(label, tasks of the flow)` of one run.
    ///
    /// - Complexity: O(log flows), amortized.
    mutating func take(
        at place: HandlerPlace, now: Timestamp, size: (Label, Int) -> Int
    ) -> Grant? {
        while let id = popBest(.place(place), now: now) {
            guard !parkIfHeldBack(id, now: now) else { continue }
            return take(from: id, now: now, size: size)
        }
        return nil
    }

    private mutating func take(from id: FlowID, now: Timestamp, size: (Label, Int) -> Int) -> Grant? {
        let key = flows[id]!.key
        let set = flows[id]!.limiters
        let level = flows[id]!.head(aging, now: now)?.level ?? 0
        var limit = key.isSingle ? 1 : max(1, size(key.label, flows[id]!.count))
        let bytes = flows[id]!.nextBytes(aging, now: now)
        for limiter in set { limit = min(limit, limiters[limiter].room(for: limit, bytes, at: now)) }
        guard let (entry, since) = flows[id]!.take(limit, aging, now: now) else { return nil }
        count -= entry.count
        for limiter in set {
            limiters[limiter].start(entry.count, bytes, at: now)
            // What is left of the rate is for the next.
            if limiters[limiter].bucket != nil { unpark(limiter, most: 1, now: now) }
        }
        groups.charge(key.group, tasks: entry.count)
        if flows[id]!.isEmpty { removeFlow(id) } else { enter(id, flows[id]!.home, now: now) }
        let charge = Charge(limiters: set, taskBytes: bytes)
        return Grant(entry: entry, finalizes: key.finalizes, charge: charge, level: level, since: since)
    }

    /// Tasks of a pull that goes on did not start, and will not as part of it: what they took of rates and budgets is
    /// there for others.
    mutating func giveBack(_ tasks: Int, of charge: Charge, now: Timestamp) {
        for limiter in charge.limiters where limiters[limiter].bucket != nil {
            limiters[limiter].giveBack(tasks, charge.taskBytes)
            unpark(limiter, most: limiters[limiter].cost(of: tasks, charge.taskBytes), now: now)
        }
    }

    /// A pull is over. What it held is free for others.
    mutating func finish(_ charge: Charge, unstarted: Int, now: Timestamp) {
        for limiter in charge.limiters {
            limiters[limiter].giveBack(unstarted, charge.taskBytes)
            limiters[limiter].finish()
            unpark(limiter, most: limiters[limiter].cost(of: 1 + unstarted, charge.taskBytes), now: now)
        }
    }

    /// Tasks have read and written so much more than they were expected to, or less when it is negative.
    mutating func settle(_ difference: Int, with budgets: LimiterSet, now: Timestamp) {
        for limiter in budgets where limiters[limiter].bucket != nil {
            limiters[limiter].settle(difference, at: now)
            if difference < 0 { unpark(limiter, most: -difference, now: now) }
        }
    }

    /// Takes out the tasks that `select` names. O(waiting runs).
    mutating func remove(now: Timestamp, _ select: (ReadyRun) -> UInt64, _ removed: (ReadyRun) -> Void) {
        for id in flows.indices where flows[id] != nil {
            let before = flows[id]!.count
            flows[id]!.remove(select, removed)
            count -= before - flows[id]!.count
            guard flows[id]!.count != before else { continue }
            let set = flows[id]!.limiters
            if flows[id]!.isEmpty { removeFlow(id) } else { enter(id, flows[id]!.home, now: now) }
            // It may have been let in for room that nobody uses now, or that is for better tasks than those it has
            // left.
            for limiter in set { unpark(limiter, most: 1, now: now) }
        }
    }

    /// How many pulls can start in a place, up to `most`: what workers are started for.
    ///
    /// - Parameter level: the worst level that counts.
    mutating func openings(
        at place: HandlerPlace, most: Int, upTo level: Int = .max, now: Timestamp, size: (Label, Int) -> Int
    ) -> Int {
        guard most > 0 else { return 0 }
        // Asked with each pull that might be preempted: nearly always nothing is better, and the best one says so.
        if level < .max, bestLevel(at: place, now: now).map({ $0 > level }) ?? true { return 0 }
        var total = 0
        var blocked: [FlowID] = []
        for candidate in self[.place(place)].unordered where candidate.rank.level <= level && isCurrent(candidate) {
            guard let flow = flows[candidate.flow] else { continue }
            let pull = flow.key.isSingle ? 1 : max(1, size(flow.key.label, flow.count))
            var pulls = (flow.count + pull - 1) / pull
            for limiter in flow.limiters { pulls = min(pulls, limiters[limiter].freePlaces(at: now)) }
            if pulls == 0 { blocked.append(candidate.flow) }
            total += pulls
            if total >= most { break }
        }
        for id in blocked { _ = parkIfHeldBack(id, now: now) }
        return min(total, most)
    }

    /// The best level of what can start in a place.
    mutating func bestLevel(at place: HandlerPlace, now: Timestamp) -> Int? {
        while let first = self[.place(place)].min {
            if !isCurrent(first) {
                self[.place(place)].removeMin()
            } else if !parkIfHeldBack(first.flow, now: now) {
                return first.rank.level
            }
        }
        return nil
    }
}

// MARK: - Flows

extension ReadyQueues {
    private mutating func makeFlow(_ key: Flow.Key, _ limiters: LimiterSet) -> FlowID {
        let id: FlowID
        if let free = freeFlows.popLast() {
            id = free
        } else {
            id = flows.count
            flows.append(nil)
        }
        flows[id] = Flow(key, limiters)
        flowIDs[key] = id
        groups.enter(key.group)
        return id
    }

    private mutating func removeFlow(_ id: FlowID) {
        let key = flows[id]!.key
        groups.leave(key.group)
        flowIDs[key] = nil
        flows[id] = nil
        freeFlows.append(id)
    }

    private func isCurrent(_ candidate: Candidate) -> Bool { flows[candidate.flow]?.generation == candidate.generation }

    private func rank(of id: FlowID, now: Timestamp) -> Candidate.Rank? {
        guard let flow = flows[id], let head = flow.head(aging, now: now) else { return nil }
        return Candidate.Rank(level: head.level, share: groups.share(of: flow.key.group), number: head.number)
    }

    /// Puts a flow into a heap with what it has now. Older entries of it are out of date.
    private mutating func enter(_ id: FlowID, _ home: Flow.Home, now: Timestamp) {
        guard let rank = rank(of: id, now: now) else { return }
        nextGeneration += 1
        flows[id]!.generation = nextGeneration
        flows[id]!.home = home
        self[home].insert(Candidate(rank: rank, flow: id, generation: nextGeneration))
        if self[home].count > 4 * flowIDs.count + 64 { rebuild(home, now: now) }
    }

    /// Takes the best flow out of a heap. Ranks there may be too good, since groups are served meanwhile, not too bad.
    private mutating func popBest(_ home: Flow.Home, now: Timestamp) -> FlowID? {
        while let candidate = self[home].popMin() {
            guard isCurrent(candidate), let rank = rank(of: candidate.flow, now: now) else { continue }
            if rank <= candidate.rank { return candidate.flow }
            enter(candidate.flow, home, now: now)
        }
        return nil
    }

    /// Ranks all flows anew, and drops what is out of date.
    private mutating func rebuild(_ home: Flow.Home, now: Timestamp) {
        let current = self[home].unordered.filter(isCurrent).map { candidate in
            var candidate = candidate
            candidate.rank = rank(of: candidate.flow, now: now) ?? candidate.rank
            return candidate
        }
        self[home] = Heap(current)
    }

    /// Parks a flow with the first limiter that holds it back, if one does. The room that it leaves with the others is
    /// offered to those who wait for it.
    private mutating func parkIfHeldBack(_ id: FlowID, now: Timestamp) -> Bool {
        let set = flows[id]!.limiters
        for limiter in set {
            guard let obstacle = limiters[limiter].obstacle(at: now) else { continue }
            enter(id, .limiter(limiter), now: now)
            if case .time(let due) = obstacle { wake(limiter, at: due) }
            for other in set where other != limiter { unpark(other, most: 1, now: now) }
            return true
        }
        return false
    }

    /// Lets parked flows compete again, the best first, while the limiter has room, and until a task of each would
    /// together take `most`.
    private mutating func unpark(_ limiter: Int, most: Int, now: Timestamp) {
        var left = most
        while !parked[limiter].isEmpty {
            switch limiters[limiter].obstacle(at: now) {
            case nil where left > 0:
                guard let id = popBest(.limiter(limiter), now: now) else { return }
                enter(id, .place(flows[id]!.key.place), now: now)
                left -= limiters[limiter].cost(of: 1, flows[id]!.nextBytes(aging, now: now))
            // Those that were let in may take all there is, or leave some to the others.
            case nil: return wake(limiter, at: limiters[limiter].bucket.map { now.advanced(by: $0.interval) })
            case .time(let due): return wake(limiter, at: due)
            case .concurrency: return
            }
        }
    }

    private mutating func wake(_ limiter: Int, at due: Timestamp?) {
        guard let due, due.rawValue < .max, limiters[limiter].wakesAt.map({ due < $0 }) ?? true else { return }
        limiters[limiter].wakesAt = due
        wakes.insert(Wake(due: due, limiter: limiter))
    }
}
