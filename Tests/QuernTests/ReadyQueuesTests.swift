// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

/// What the queues must answer, said in the plainest way: a list, looked through from end to end.
private struct QueuesModel {
    struct Waiting {
        var id: UInt64
        var key: Flow.Key
        var priority: UInt8
        var isFront: Bool
        var order: Int
    }

    struct ModelLimiter {
        var concurrency: Int?
        var running = 0
        var isPaused = false
        var bucket: TokenBucket?
        var countsBytes = false

        func cost(of tasks: Int, _ bytes: Int) -> Int { tasks * (countsBytes ? bytes : 1) }
    }

    var random: SeededGenerator
    var queues = ReadyQueues()
    var waiting: [Waiting] = []
    var running: [ReadyQueues.Grant] = []
    var limiters: [ModelLimiter] = []
    var now = Timestamp(milliseconds: 0)
    var nextID: UInt64 = 1
    var nextOrder = 0
    /// Where tasks are put and taken.
    let places: [HandlerPlace]

    init(seed: UInt64, places: [HandlerPlace]) {
        random = SeededGenerator(seed: seed)
        self.places = places
        // Four types, two domains, three groups, and the budgets of each.
        for _ in 0..<9 {
            limiters.append(ModelLimiter())
            _ = queues.addLimiter()
        }
        for _ in 0..<9 {
            limiters.append(ModelLimiter(countsBytes: true))
            _ = queues.addLimiter(counting: .bytes)
        }
    }

    func set(of key: Flow.Key) -> LimiterSet {
        let type = Int32(key.label.rawValue)
        var set = LimiterSet(type: type, domain: 4 + type % 2, group: key.group == 0 ? -1 : 5 + key.group)
        if key.takesBytes {
            set.budgets = .init(
                type: 9 + set.type, domain: 9 + set.domain, group: key.group == 0 ? -1 : 9 + set.group)
        }
        return set
    }

    /// What tasks of a type and group read and write counts against, whether it was expected or not.
    func budgets(of key: Flow.Key) -> LimiterSet {
        var key = key
        key.takesBytes = true
        return LimiterSet(type: -1, budgets: set(of: key).budgets)
    }

    mutating func isHeldBack(_ limiter: Int) -> Bool {
        if limiters[limiter].isPaused { return true }
        if let most = limiters[limiter].concurrency, limiters[limiter].running >= most { return true }
        return limiters[limiter].bucket.map {
            var bucket = $0
            return bucket.available(at: now) < 1
        } ?? false
    }

    mutating func mayRun(_ key: Flow.Key) -> Bool {
        for limiter in set(of: key) where isHeldBack(limiter) { return false }
        return true
    }

    mutating func step() {
        switch random.below(11) {
        case 10: settle()
        case 0...2: add()
        case 3...5: take(at: random.pick(places))
        case 6, 7: finish()
        case 8: change()
        default: passTime(random.below(300))
        }
        #expect(queues.count == waiting.count)
    }

    private mutating func add() {
        let bytes = random.coin() ? 0 : 1 + random.below(100)
        let key = Flow.Key(
            place: random.pick(places), label: Label(rawValue: UInt32(random.below(4))), group: Int32(random.below(4)),
            takesBytes: bytes > 0)
        let count = 1 + random.below(8)
        var entry = ReadyRun(run: .test(nextID, count: count, parent: 0, label: key.label.rawValue), bits: 0)
        entry.bits = entry.run.allBits
        entry.ioBytes = Float(bytes)
        entry.priority = UInt8(100 + random.below(3))
        for index in 0..<count {
            waiting.append(
                Waiting(
                    id: nextID + UInt64(index), key: key, priority: entry.priority, isFront: false, order: nextOrder))
            nextOrder += 1
        }
        nextID += UInt64(count)
        queues.add(entry, to: key, set(of: key), now: now)
    }

    mutating func take(at place: HandlerPlace) {
        let size = 1 + random.below(6)
        let eligible = waiting.indices.filter { waiting[$0].key.place == place && mayRun(waiting[$0].key) }
        guard let grant = queues.take(at: place, now: now, size: { _, _ in size }) else {
            // With two places the room may be promised to a flow of the other one.
            if places.count == 1 { #expect(eligible.isEmpty, "something could have run") }
            return
        }
        let best = eligible.map { waiting[$0].priority }.min()
        #expect(grant.entry.count <= size && grant.entry.count > 0)
        for index in BitIndexes(grant.entry.bits) {
            let id = grant.entry.run.id(at: index).rawValue
            guard let position = waiting.firstIndex(where: { $0.id == id }) else {
                Issue.record("task \(id) was given out and did not wait")
                continue
            }
            let task = waiting.remove(at: position)
            #expect(mayRun(task.key), "a task ran that was held back")
            if places.count == 1 { #expect(task.priority == best, "a better task waited (T16)") }
            let isFirst = !waiting.contains {
                $0.key == task.key && $0.priority == task.priority && !task.isFront
                    && ($0.isFront || $0.order < task.order)
            }
            #expect(isFirst, "tasks of one priority are first come, first served (T16)")
        }
        for limiter in grant.charge.limiters {
            limiters[limiter].running += 1
            if limiters[limiter].bucket != nil {
                let cost = limiters[limiter].cost(of: grant.entry.count, Int(grant.entry.ioBytes))
                let room = limiters[limiter].bucket!.available(at: now)
                // A task of any size runs, once there is anything, and then alone.
                #expect(room >= cost || (room > 0 && grant.entry.count == 1), "too fast")
                limiters[limiter].bucket!.take(cost, at: now)
            }
        }
        running.append(grant)
    }

    mutating func finish() {
        guard !running.isEmpty else { return }
        var grant = running.remove(at: random.below(running.count))
        let back = random.chance(1, in: 4) ? grant.entry.takeFirst(random.below(grant.entry.count + 1)) : nil
        for limiter in grant.charge.limiters {
            limiters[limiter].running -= 1
            let cost = limiters[limiter].cost(of: back?.count ?? 0, Int(grant.entry.ioBytes))
            limiters[limiter].bucket?.giveBack(cost)
        }
        queues.finish(grant.charge, unstarted: back?.count ?? 0, now: now)
        guard let back, back.bits != 0 else { return }
        let key = Flow.Key(
            place: random.pick(places), label: back.run.label, group: max(0, grant.charge.limiters.group - 5),
            takesBytes: back.ioBytes > 0)
        for index in BitIndexes(back.bits) {
            waiting.append(
                Waiting(
                    id: back.run.id(at: index).rawValue, key: key, priority: back.priority, isFront: true, order: 0))
        }
        queues.add(back, to: key, set(of: key), backSince: back.run.submittedAt, now: now)
    }

    /// Tasks took more or less than was expected.
    private mutating func settle() {
        let difference = random.below(400) - 200
        let key = Flow.Key(
            place: .threads, label: Label(rawValue: UInt32(random.below(4))), group: Int32(random.below(4)))
        for limiter in budgets(of: key) {
            if difference < 0 {
                limiters[limiter].bucket?.giveBack(-difference)
            } else {
                limiters[limiter].bucket?.take(difference, at: now)
            }
        }
        queues.settle(difference, with: budgets(of: key), now: now)
    }

    private mutating func change() {
        let limiter = random.below(limiters.count)
        switch random.below(6) {
        case 0: limiters[limiter].isPaused = true
        case 1 where limiters[limiter].countsBytes:
            let budget = ByteBudget(
                bytesPerSecond: UInt64(1 + random.below(1000)), burst: UInt64(1 + random.below(200)))
            limiters[limiter].bucket = TokenBucket(budget, now: now)
        case 1:
            limiters[limiter].bucket = TokenBucket(RateLimit(UInt32(1 + random.below(20)), per: .seconds(1)), now: now)
        case 2 where !limiters[limiter].countsBytes: limiters[limiter].concurrency = random.below(3)
        case 3:
            let mask: UInt64 = random.next()
            let key = waiting.isEmpty ? nil : random.pick(waiting).key
            var removed: [ReadyRun] = []
            queues.remove(now: now, { $0.run.label == key?.label ? mask : 0 }, { removed.append($0) })
            for entry in removed {
                for index in BitIndexes(entry.bits) {
                    waiting.removeAll { $0.id == entry.run.id(at: index).rawValue }
                }
            }
        default:
            limiters[limiter].isPaused = false
            limiters[limiter].bucket = nil
            limiters[limiter].concurrency = nil
        }
        let wanted = limiters[limiter]
        queues.update(limiter, now: now) {
            $0.pausedUntil = wanted.isPaused ? Timestamp(milliseconds: .max) : nil
            $0.bucket = wanted.bucket
            $0.concurrency = wanted.concurrency
        }
    }

    mutating func passTime(_ milliseconds: Int) {
        now = now.advanced(by: .milliseconds(milliseconds))
        queues.timePassed(until: now)
    }

    /// Lifts what holds tasks back for ever and runs all that wait.
    mutating func drain() {
        for limiter in limiters.indices {
            limiters[limiter].isPaused = false
            if limiters[limiter].concurrency == 0 { limiters[limiter].concurrency = 1 }
            let concurrency = limiters[limiter].concurrency
            queues.update(limiter, now: now) {
                $0.pausedUntil = nil
                $0.concurrency = concurrency
            }
        }
        var steps = 0
        while !waiting.isEmpty || !running.isEmpty, steps < 100_000 {
            steps += 1
            for place in places { take(at: place) }
            while !running.isEmpty { finish() }
            if let wake = queues.nextWake { passTime(max(1, Int(wake.rawValue - now.rawValue))) }
        }
        #expect(waiting.isEmpty, "tasks were forgotten")
    }
}

struct ReadyQueuesTests {
    @Test("T16: priority, first come first served, limits, rates and pauses hold whatever happens", arguments: 0..<150)
    func holdsItsRules(seed: UInt64) {
        var model = QueuesModel(seed: seed, places: [.cooperative])
        for _ in 0..<300 { model.step() }
        model.drain()
    }

    @Test("T16: nothing is forgotten when two places share limits", arguments: 0..<50)
    func forgetsNothing(seed: UInt64) {
        var model = QueuesModel(seed: seed, places: [.cooperative, .threads])
        for _ in 0..<300 { model.step() }
        model.drain()
    }

    @Test("T16: groups get shares in proportion to their weights, whoever came first")
    func sharesFairly() {
        var queues = ReadyQueues()
        let limiter = Int32(queues.addLimiter())
        let now = Timestamp(milliseconds: 0)
        queues.setWeight(3, ofGroup: 2)
        for number in 0..<1000 {
            for group in [Int32(1), 2] {
                let run = SpawnRun.test(UInt64(1 + number * 2) + UInt64(group == 1 ? 0 : 100_000), count: 1, parent: 0)
                queues.add(
                    ReadyRun(run: run, bits: 1), to: Flow.Key(place: .threads, label: run.label, group: group),
                    LimiterSet(type: limiter), now: now)
            }
        }
        var taken: [Bool: Int] = [:]
        for _ in 0..<400 {
            let grant = queues.take(at: .threads, now: now) { _, _ in 1 }
            taken[(grant?.entry.run.firstID.rawValue ?? 0) > 100_000, default: 0] += 1
        }
        #expect(taken == [false: 100, true: 300])
    }

    @Test("T16: when the best of those that were let in is cancelled, the next best goes first, whoever was let in")
    func removedHead() {
        var queues = ReadyQueues()
        let limiter = Int32(queues.addLimiter())
        var now = Timestamp(milliseconds: 0)
        let bucket = TokenBucket(RateLimit(1, per: .seconds(1)), now: now)
        queues.update(Int(limiter), now: now) { $0.bucket = bucket }
        for (id, label, priority) in [(9, 3, 50), (1, 1, 100), (2, 1, 102), (3, 2, 101)] as [(UInt64, UInt32, UInt8)] {
            var entry = ReadyRun(run: .test(id, count: 1, parent: 0, label: label), bits: 1)
            entry.priority = priority
            queues.add(
                entry, to: Flow.Key(place: .threads, label: entry.run.label), LimiterSet(type: limiter), now: now)
        }
        func take() -> UInt64? { queues.take(at: .threads, now: now, size: { _, _ in 1 })?.entry.run.firstID.rawValue }
        var taken = [take(), take()]
        #expect(taken == [9, nil])
        now = now.advanced(by: .seconds(1))
        queues.timePassed(until: now)
        queues.remove(now: now, { $0.run.firstID == TaskID(1) ? 1 : 0 }, { _ in })
        taken = [take(), take()]
        #expect(taken == [3, nil])
    }

    @Test(
        "T16, T17: a rate holds whatever the clock does: one that is set back neither adds to it nor stops it",
        arguments: 0..<50)
    func ratesOfWanderingClocks(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var wall: Int64 = 1_000_000_000
        var bucket = TokenBucket(RateLimit(10, per: .seconds(1), burst: 5), now: Timestamp(milliseconds: wall))
        var (passed, lost, taken): (Int64, Int64, Int) = (0, 0, 0)
        for _ in 0..<3000 {
            let step = Int64(random.below(200))
            passed += step
            wall += step
            if random.chance(1, in: 30) {
                wall -= 1300 + Int64(random.below(100_000_000))
                lost += step
            }
            // Calls overtake each other.
            let now = Timestamp(milliseconds: wall - Int64(random.below(3)))
            let count = bucket.available(at: now)
            bucket.take(count, at: now)
            taken += count
        }
        #expect(taken <= 5 + Int(passed) / 100)
        // Less what came in while the bucket was full, and in the steps in which the clock was set.
        #expect(taken >= Int(passed - lost) / 100 - 10)
    }

    @Test("T16, T17: what waits for a rate or rises by waiting does so too when the clock is set back")
    func clockSetBack() {
        var queues = ReadyQueues(aging: Aging(interval: .seconds(1)))
        let limiter = queues.addLimiter()
        var now = Timestamp(milliseconds: 1_000_000)
        let bucket = TokenBucket(RateLimit(1, per: .seconds(1)), now: now)
        queues.update(limiter, now: now) { $0.bucket = bucket }
        for id in 1...2 as ClosedRange<UInt64> {
            let entry = ReadyRun(run: .test(id, count: 1, parent: 0), bits: 1)
            let key = Flow.Key(place: .threads, label: entry.run.label)
            queues.add(entry, to: key, LimiterSet(type: Int32(limiter)), now: now)
        }
        queues.timePassed(until: now)
        func take() -> Bool { queues.take(at: .threads, now: now, size: { _, _ in 1 }) != nil }
        let taken = [take(), take()]
        #expect(taken == [true, false])
        now = Timestamp(milliseconds: 500_000)
        queues.clockWasSetBack(to: now)
        #expect(queues.nextWake.map { $0 <= now.advanced(by: .seconds(1)) } == true)
        now = now.advanced(by: .seconds(1))
        queues.timePassed(until: now)
        #expect(take())
    }

    @Test("T16: a task that waits rises above better ones that came later")
    func agesWaitingTasks() {
        var queues = ReadyQueues(aging: Aging(interval: .seconds(1)))
        let limiter = Int32(queues.addLimiter())
        func add(_ id: UInt64, priority: UInt8, label: UInt32, at time: Int64) {
            var entry = ReadyRun(run: .test(id, count: 1, parent: 0, label: label), bits: 1)
            entry.priority = priority
            queues.add(
                entry, to: Flow.Key(place: .threads, label: entry.run.label), LimiterSet(type: limiter),
                now: Timestamp(milliseconds: time))
        }
        add(1, priority: 110, label: 1, at: 0)
        let later = Timestamp(milliseconds: 20_000)
        queues.timePassed(until: later)
        add(2, priority: 100, label: 2, at: 20_000)
        add(3, priority: 100, label: 1, at: 20_000)
        let order = (0..<3).compactMap { _ in
            queues.take(at: .threads, now: later, size: { _, _ in 1 })?.entry.run.firstID.rawValue
        }
        #expect(order == [1, 2, 3])
    }

    private static func waiting(_ id: UInt64) -> (ReadyRun, Flow.Key, LimiterSet) {
        let run = SpawnRun.test(id, count: 1, parent: 0, label: 1)
        let key = Flow.Key(place: .threads, label: run.label)
        return (ReadyRun(run: run, bits: 1), key, LimiterSet(type: 0))
    }

    @Test("T16: a task that is given back has waited since it became ready, not since it was submitted")
    func givenBackWaitsOn() throws {
        let aging = Aging(interval: .seconds(1))
        var queues = ReadyQueues(aging: aging)
        _ = queues.addLimiter()
        let (entry, key, limiters) = Self.waiting(1)
        // Ready an hour behind its submission.
        let ready = Timestamp(milliseconds: 3_600_000)
        queues.add(entry, to: key, limiters, now: ready)
        let first = try #require(queues.take(at: .threads, now: ready) { _, _ in 1 })
        #expect(first.level == 128 && first.since == ready)
        queues.finish(first.charge, unstarted: 1, now: ready)
        queues.add(first.entry, to: key, limiters, backSince: first.since, now: ready)
        let second = try #require(queues.take(at: .threads, now: ready) { _, _ in 1 })
        #expect(second.level == 128 && second.since == ready)
    }

    @Test("T16: a weight that is no number is as none")
    func weightOfNoNumber() {
        var shares = FairShares()
        for (group, weight) in [(Int32(1), Double.nan), (2, .infinity), (3, -1)] {
            shares.setWeight(weight, of: group)
            shares.enter(group)
            shares.charge(group, tasks: 5)
        }
        #expect(shares.share(of: 1) == 5 && shares.share(of: 2).isFinite && shares.share(of: 3).isFinite)
    }

    @Test("T16: limits that are read from a file are brought within bounds, too")
    func decodedLimits() throws {
        let rate = try JSONDecoder().decode(
            RateLimit.self, from: Data(#"{"count":0,"period":[0,0],"burst":0}"#.utf8))
        #expect(rate == RateLimit(0, per: .zero, burst: 0) && rate.count == 1 && rate.period == .milliseconds(1))
        let budget = try JSONDecoder().decode(ByteBudget.self, from: Data(#"{"bytesPerSecond":0,"burst":0}"#.utf8))
        #expect(budget.bytesPerSecond == 1 && budget.burst == 1)
        var bucket = TokenBucket(rate, now: Timestamp(milliseconds: 0))
        bucket.take(1, at: Timestamp(milliseconds: 0))
        #expect(bucket.nextToken(after: Timestamp(milliseconds: 0)) == Timestamp(milliseconds: 1))
    }

    @Test(
        "Tasks that go to the front again are no worse than those behind them, which could else interrupt them for ever"
    )
    func frontIsNoWorse() throws {
        var flow = Flow(Flow.Key(place: .cooperative, label: Label(rawValue: 0)), LimiterSet(type: -1))
        let aging = Aging(interval: .milliseconds(100))
        func waiting(_ id: UInt64, number: UInt64, since: Int64) -> Flow.Waiting {
            let entry = ReadyRun(run: .test(id, count: 1, parent: 0), bits: 1)
            return Flow.Waiting(entry: entry, number: number, since: Timestamp(milliseconds: since))
        }
        flow.append(waiting(1, number: 1, since: 0))
        flow.prepend(waiting(2, number: 0, since: 3000))
        let now = Timestamp(milliseconds: 3000)
        let front = try #require(flow.head(aging, now: now))
        #expect(flow.take(1, aging, now: now)?.tasks.run.firstID == TaskID(2))
        let behind = try #require(flow.head(aging, now: now))
        #expect(front.level <= behind.level)
    }
}
