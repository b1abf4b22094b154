// SPDX-License-Identifier: Apache-2.0
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
        // Four types, two domains, three groups.
        for _ in 0..<9 {
            limiters.append(ModelLimiter())
            _ = queues.addLimiter()
        }
    }

    func set(of key: Flow.Key) -> LimiterSet {
        LimiterSet(
            type: Int32(key.label.rawValue), domain: 4 + Int32(key.label.rawValue % 2),
            group: key.group == 0 ? -1 : 5 + key.group)
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
        switch random.below(10) {
        case 0...2: add()
        case 3...5: take(at: random.pick(places))
        case 6, 7: finish()
        case 8: change()
        default: passTime(random.below(300))
        }
        #expect(queues.count == waiting.count)
    }

    private mutating func add() {
        let key = Flow.Key(
            place: random.pick(places), label: Label(rawValue: UInt32(random.below(4))), group: Int32(random.below(4)))
        let count = 1 + random.below(8)
        var entry = ReadyRun(run: .test(nextID, count: count, parent: 0, label: key.label.rawValue), bits: 0)
        entry.bits = entry.run.allBits
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
        for limiter in grant.limiters {
            limiters[limiter].running += 1
            if limiters[limiter].bucket != nil {
                #expect(limiters[limiter].bucket!.available(at: now) >= grant.entry.count, "too fast")
                limiters[limiter].bucket!.take(grant.entry.count)
            }
        }
        running.append(grant)
    }

    mutating func finish() {
        guard !running.isEmpty else { return }
        var grant = running.remove(at: random.below(running.count))
        let back = random.chance(1, in: 4) ? grant.entry.takeFirst(random.below(grant.entry.count + 1)) : nil
        for limiter in grant.limiters {
            limiters[limiter].running -= 1
            limiters[limiter].bucket?.giveBack(back?.count ?? 0)
        }
        queues.finish(grant.limiters, unstarted: back?.count ?? 0, now: now)
        guard let back, back.bits != 0 else { return }
        let key = Flow.Key(place: random.pick(places), label: back.run.label, group: max(0, grant.limiters.group - 5))
        for index in BitIndexes(back.bits) {
            waiting.append(
                Waiting(
                    id: back.run.id(at: index).rawValue, key: key, priority: back.priority, isFront: true, order: 0))
        }
        queues.add(back, to: key, set(of: key), atFront: true, now: now)
    }

    private mutating func change() {
        let limiter = random.below(limiters.count)
        switch random.below(6) {
        case 0: limiters[limiter].isPaused = true
        case 1:
            limiters[limiter].bucket = TokenBucket(RateLimit(UInt32(1 + random.below(20)), per: .seconds(1)), now: now)
        case 2: limiters[limiter].concurrency = random.below(3)
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
