// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

@Suite("Live tasks: a bit a task (S14)")
struct LiveTableTests {
    private static func run(_ first: UInt64, count: UInt8) -> SpawnRun {
        SpawnRun(
            firstID: TaskID(first), parent: .none, submittedAt: Timestamp(milliseconds: 0), label: Label(rawValue: 1),
            count: count, priority: 128, segment: 1, frameOffset: 128, recordOffset: 0)
    }

    @Test("A task that a batch is about to end is live for everyone until the batch is committed")
    func marksAreNotSeen() {
        var table = LiveTable()
        table.append(Self.run(1, count: 64))
        table.append(Self.run(70, count: 3))
        let task = TaskID(71)
        #expect(table.mark(task)?.firstID == TaskID(70))
        #expect(table.contains(task) && !table.isUntouched(task))
        #expect(table.mark(task) == nil, "one outcome a task")
        #expect(table.count == 67)
        table.unmark(task)
        #expect(table.isUntouched(task))
        #expect(table.mark(task) != nil)
        table.end(task)
        table.end(task)
        #expect(!table.contains(task) && table.count == 66)
        #expect(table.mark(task) == nil)
        for stranger in [0, 65, 69, 73] as [UInt64] { #expect(table.mark(TaskID(stranger)) == nil) }
    }

    @Test("Ended runs leave the table, and the tasks that are left are found")
    func compaction() {
        var table = LiveTable()
        for number in 0..<1000 as Range<UInt64> { table.append(Self.run(1 + number * 10, count: 10)) }
        for number in 0..<1000 as Range<UInt64> where number % 7 != 0 {
            for offset in 0..<10 as Range<UInt64> { table.end(TaskID(1 + number * 10 + offset)) }
        }
        table.compactIfWorthwhile()
        #expect(table.runs.count == 143)
        #expect(table.count == 1430)
        for number in 0..<1000 as Range<UInt64> {
            #expect(table.contains(TaskID(5 + number * 10)) == (number % 7 == 0))
        }
    }

    @Test("Runs that are taken in at any place are found, and none that overlaps another is taken")
    func insertion() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<4 {
            var table = LiveTable()
            var live: Set<UInt64> = []
            var taken: Set<UInt64> = []
            for step in 0..<3000 {
                let (first, count) = (UInt64(1 + random.below(60_000)), 1 + random.below(64))
                let ids = first..<(first + UInt64(count))
                let bits = random.chance(1, in: 8) ? 0 : random.next() & (.max >> UInt64(64 - count))
                let isFree = taken.isDisjoint(with: ids)
                #expect(table.insert(Self.run(first, count: UInt8(count)), live: bits) == isFree)
                guard isFree else { continue }
                taken.formUnion(ids)
                live.formUnion(ids.filter { bits & (1 << ($0 - first)) != 0 })
                guard step % 3 == 0, let ended = live.first else { continue }
                table.end(TaskID(ended))
                live.remove(ended)
                if step % 50 == 0 {
                    table.compactIfWorthwhile()
                    taken = Set(
                        table.runs.flatMap {
                            $0.run.firstID.rawValue..<($0.run.firstID.rawValue + UInt64($0.run.count))
                        })
                }
            }
            #expect(table.count == live.count)
            for id in 1...60_100 as ClosedRange<UInt64> { #expect(table.contains(TaskID(id)) == live.contains(id)) }
            let starts = table.runs.map(\.run.firstID)
            #expect(starts == starts.sorted())
        }
    }
}
