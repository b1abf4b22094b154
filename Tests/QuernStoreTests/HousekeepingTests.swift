// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

@Suite("Decisions of housekeeping (S15)")
struct HousekeepingTests {
    private static func segments(
        _ count: Int, tier: UInt8 = 0, blocks: Int = 100, dropped: Int = 0
    ) -> [CompactionPlan.Segment] {
        Array(
            repeating: CompactionPlan.Segment(bytes: 100_000, blocks: blocks, tier: tier, droppedBytes: dropped),
            count: count)
    }

    @Test("Segments are rewritten when a quarter is dropped, or when enough of a tier have small blocks")
    func plans() {
        typealias Plan = CompactionPlan
        #expect(Plan.next([]) == nil)
        #expect(Plan.next(Self.segments(7)) == nil)
        #expect(Plan.next(Self.segments(8)) == Plan(range: 0..<8, tier: 1))
        #expect(Plan.next(Self.segments(20)) == Plan(range: 0..<8, tier: 1))
        #expect(Plan.next(Self.segments(8, blocks: 3)) == nil)
        #expect(Plan.next(Self.segments(63, tier: 1)) == nil)
        #expect(Plan.next(Self.segments(64, tier: 1)) == Plan(range: 0..<64, tier: 2))
        #expect(Plan.next(Self.segments(500, tier: 2)) == nil)
        #expect(Plan.next(Self.segments(5, tier: 1) + Self.segments(9)) == Plan(range: 5..<13, tier: 1))
        #expect(Plan.next(Self.segments(4) + Self.segments(1, blocks: 3) + Self.segments(4)) == nil)
        #expect(Plan.next(Self.segments(3) + Self.segments(1, dropped: 24_999)) == nil)
        let dropped = Self.segments(2, tier: 1, dropped: 25_000)
        #expect(Plan.next(Self.segments(3) + dropped + Self.segments(2)) == Plan(range: 3..<5, tier: 1))
        #expect(Plan.next(Self.segments(40, dropped: 90_000)) == Plan(range: 0..<16, tier: 0))
        var segments = Self.segments(20)
        segments[4].isFixed = true
        #expect(Plan.next(segments) == Plan(range: 5..<13, tier: 1))
        segments = Self.segments(3, dropped: 90_000)
        segments[0].isFixed = true
        #expect(Plan.next(segments) == Plan(range: 1..<3, tier: 0))
    }

    @Test("Who asks for a compaction gets what is dropped reclaimed and what is small merged, and nothing else moved")
    func plansNow() {
        typealias Plan = CompactionPlan
        func now(_ segments: [Plan.Segment]) -> Plan? { Plan.now(segments, segmentBytes: 120_000) }
        let full = Self.segments(1, blocks: 3)
        let merged = Self.segments(1, tier: 2)
        let dropped = Self.segments(1, tier: 2, blocks: 3, dropped: 1)
        let small = [Plan.Segment(bytes: 50_000, blocks: 3, tier: 2)]
        #expect(now([]) == nil)
        #expect(now(Self.segments(1)) == nil)
        #expect(now(Self.segments(3)) == Plan(range: 0..<3, tier: 2))
        #expect(now(full + full + merged + full) == nil)
        #expect(now(full + dropped + full) == Plan(range: 1..<2, tier: 2))
        #expect(now(full + small + full + small) == nil)
        #expect(now(full + small + Self.segments(2) + dropped + full) == Plan(range: 1..<5, tier: 2))
        #expect(now(small + full + small + small) == Plan(range: 2..<4, tier: 2))
        var fixed = small + dropped + small + small
        fixed[1].isFixed = true
        #expect(now(fixed) == Plan(range: 2..<4, tier: 2))
        fixed[3].isFixed = true
        #expect(now(fixed) == nil)
    }

    @Test("Old log segments with little in them are emptied, the oldest first, a quarter of a segment at a time")
    func logSpace() {
        func plan(_ live: [UInt32: Int], current: UInt32) -> [UInt32] {
            LogSpacePlan.relocations(
                live.sorted { $0.key < $1.key }.map { .init(number: $0.key, liveBytes: $0.value) }, current: current,
                segmentBytes: 1000)
        }
        #expect(plan([:], current: 9) == [])
        #expect(plan([1: 10], current: 1) == [])
        #expect(plan([1: 10], current: 4) == [])
        #expect(plan([1: 10], current: 5) == [1])
        #expect(plan([1: 251], current: 9) == [])
        #expect(plan([1: 250, 2: 10], current: 9) == [1])
        #expect(plan([1: 100, 2: 900, 3: 100, 4: 100, 8: 1], current: 9) == [1, 3])
    }

    @Test("Retention drops what is too old, too many or too large, from the oldest on")
    func retention() {
        func dropped(_ policy: RetentionPolicy, _ roots: [(at: Int64, bytes: Int)], now: Int64 = 1000) -> [Int] {
            var plan = RetentionPlan(
                policy, now: Timestamp(milliseconds: now), count: roots.count,
                bytes: roots.reduce(0) { $0 + $1.bytes })
            return roots.indices.filter {
                plan.drops(endedAt: Timestamp(milliseconds: roots[$0].at), bytes: roots[$0].bytes)
            }
        }
        let roots: [(at: Int64, bytes: Int)] = [(10, 5), (500, 50), (400, 7), (990, 1)]
        #expect(dropped(RetentionPolicy(), roots) == [])
        #expect(dropped(RetentionPolicy(count: 4), roots) == [])
        #expect(dropped(RetentionPolicy(count: 1), roots) == [0, 1, 2])
        #expect(dropped(RetentionPolicy(bytes: 58), roots) == [0])
        #expect(dropped(RetentionPolicy(bytes: 57), roots) == [0, 1])
        #expect(dropped(RetentionPolicy(bytes: 0), roots) == [0, 1, 2, 3])
        #expect(dropped(RetentionPolicy(age: .milliseconds(550)), roots) == [0, 2])
        #expect(dropped(RetentionPolicy(age: .seconds(Int64.max)), roots) == [])
        #expect(dropped(RetentionPolicy(age: .seconds(Int64.min)), roots, now: 0) == [0, 1, 2, 3])
    }

    @Test("A budget lets a second's worth through at once, and holds its rate afterwards")
    func budget() {
        var now = MonotonicTime(nanoseconds: 5_000_000_000)
        var budget = IOBudget(bytesPerSecond: 1000, now: now)
        #expect(budget.spend(1000, now: now) == nil)
        #expect(budget.spend(500, now: now) == now.advanced(by: .milliseconds(500)))
        now = now.advanced(by: .milliseconds(500))
        #expect(budget.spend(0, now: now) == nil)
        // What was not used is kept for a second and not longer.
        now = now.advanced(by: .seconds(100))
        #expect(budget.spend(1000, now: now) == nil)
        #expect(budget.spend(1, now: now) != nil)
        // Steps shorter than a byte add up.
        var spent = 0
        for _ in 0..<10_000 {
            now = now.advanced(by: .microseconds(100))
            if budget.spend(0, now: now) == nil {
                _ = budget.spend(1, now: now)
                spent += 1
            }
        }
        #expect((900...1100).contains(spent))
    }

    @Test("A budget above all that a disk can do holds nothing up, however large it is")
    func boundlessBudget() {
        var now = MonotonicTime(nanoseconds: 5_000_000_000)
        var budget = IOBudget(bytesPerSecond: .max, now: now)
        for _ in 0..<3 {
            #expect(budget.spend(1 << 40, now: now) == nil)
            now = now.advanced(by: .seconds(1_000_000))
        }
    }

    @Test("Background work is done one at a time, and what is due once is done once")
    func oneAtATime() {
        var housekeeping = Housekeeping(retains: true, compacts: true)
        #expect(housekeeping.next() == nil)
        housekeeping.didCheckpoint()
        housekeeping.didCheckpoint()
        housekeeping.didDrop()
        #expect(housekeeping.next() == .relocate)
        #expect(housekeeping.next() == nil)
        housekeeping.didFinish()
        #expect(housekeeping.next() == .retain)
        housekeeping.request()
        housekeeping.didFinish()
        #expect(housekeeping.next() == .compact)
        housekeeping.didCompact()
        housekeeping.didFinish()
        #expect(housekeeping.next() == .compactEverything)
        housekeeping.didFinish()
        #expect(housekeeping.next() == .compact)
        housekeeping.didFinish()
        #expect(housekeeping.next() == nil)
        var idle = Housekeeping(retains: false, compacts: false)
        idle.didCheckpoint()
        idle.didDrop()
        #expect(idle.next() == .relocate)
        idle.didFinish()
        #expect(idle.next() == nil)
    }

    @Test("A few tasks that live on do not keep the log that others passed through", arguments: [true, false])
    func logStaysSmall(onWriter: Bool) async throws {
        var forest = try await Forest(seed: 21, onWriter: onWriter)
        var spawn = Transaction()
        for number in 0..<3 {
            spawn.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
                $0.append(contentsOf: Array(repeating: UInt8(number), count: 100))
            }
        }
        let ids = try await forest.store.append(spawn).spawned.flatMap { Array($0) }
        let run = try #require(forest.store.run(of: TaskID(ids[0])))
        var advance = Transaction()
        advance.advance(TaskID(ids[1]), to: 1, value: [1, 2, 3])
        try await forest.store.append(advance)
        for round in 0..<60 {
            try await forest.grow(children: 40)
            if round == 30 { try await forest.store.append(.ending([ids[2]], under: 0)) }
            if round % 20 == 19 { try await forest.reopen() }
            if !onWriter { await forest.store.settle() }
        }
        let sizes = try forest.store.sizes()
        // A checkpoint each 12 KiB, segments of 4 KiB, of which three are young.
        #expect(sizes.log.count <= 12, "\(sizes.log)")
        #expect(sizes.liveLogBytes < 1000)
        func payload(_ task: UInt64, of run: SpawnRun) throws -> [UInt8] {
            var result: [UInt8] = []
            try forest.store.withPayloads(of: run, indexes: 1 << (task - run.firstID.rawValue)) { _, bytes in
                result = bytes.withUnsafeBytes { Array($0) }
            }
            return result
        }
        let moved = try #require(forest.store.run(of: TaskID(ids[0])))
        #expect(moved != run)
        for number in 0..<2 {
            let expected = Array(repeating: UInt8(number), count: 100)
            #expect(try payload(ids[number], of: moved) == expected)
            // A scheduler goes on with the run that it got when the tasks were spawned.
            #expect(try payload(ids[number], of: run) == expected)
        }
        #expect(try forest.store.handover(of: TaskID(ids[1])) == [1, 2, 3])
        try await forest.crash(.dropAll)
        #expect(try forest.store.handover(of: TaskID(ids[1])) == [1, 2, 3])
        #expect(try payload(ids[1], of: moved) == Array(repeating: UInt8(1), count: 100))
    }

    @Test("A log segment that a checkpoint removes while it is emptied is no failure")
    func segmentGoesWhileItIsRead() async throws {
        let threads = HeldThreads()
        var forest = try await Forest(seed: 24, onWriter: false)
        forest.configuration.checkpointBytes = 1 << 40
        forest.configuration.startThread = threads.start
        threads.open()
        try await forest.reopen()
        let store = forest.store
        var spawn = Transaction()
        spawn.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) {
            $0.append(contentsOf: Array(repeating: 1, count: 100))
        }
        let task = try await store.append(spawn).spawned[0].lowerBound
        for _ in 0..<12 { try await forest.grow(children: 40) }
        threads.hold()
        // A checkpoint, and what follows it: the segment is to be emptied.
        try await checkpoint(store, threads)
        #expect(threads.isHolding)
        let relocation = threads.take()
        // Its only task ends, and the next checkpoint removes it before it is read.
        try await store.append(.ending([task], under: 0))
        try await checkpoint(store, threads)
        for body in relocation { body() }
        threads.open()
        await store.settle()
        #expect(try store.sizes().housekeepingFailure == nil)
        try await store.close()
    }

    /// Has a checkpoint written, and returns when the writer has taken it over.
    private func checkpoint(_ store: MemoStore, _ threads: HeldThreads) async throws {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            _ = store.shared.queue.update { queue, wakes in
                wakes = true
                return queue.post { writer in
                    writer.requestCheckpoint()
                    continuation.resume()
                }
            }
        }
        for body in threads.take() { body() }
        await store.settle()
        await store.settle()
    }

    @Test("A hand-over that was replaced while it was read is not put back")
    func newerHandoverWins() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: SimulatedFileSystem())
        try await store.append(.spawning(1))
        var first = Transaction()
        first.advance(TaskID(1), to: 1, value: [1])
        try await store.append(first)
        let place = try #require(store.shared.committed.withLock { $0.state.slots[TaskID(1), 0] })
        var second = Transaction()
        second.advance(TaskID(1), to: 2, value: [2])
        second.relocateKept(by: TaskID(1), slot: 0, from: place, value: [1])
        try await store.append(second)
        #expect(try store.handover(of: TaskID(1)) == [2])
    }
}
