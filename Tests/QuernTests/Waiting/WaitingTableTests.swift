// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Deadlines and dependencies as plain tables (T16)")
struct WaitingTableTests {
    @Test("Each task that has not ended is due once, at its own time, and what ended leaves nothing", arguments: 1...40)
    func deadlines(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = DeadlineTable()
        var expected: [TaskID: Timestamp] = [:]
        var runs: [TaskID: UInt64] = [:]
        var now: Int64 = 0
        for step in 0..<2000 {
            switch random.below(4) {
            case 0:
                let firstID = TaskID(UInt64(1000 + 64 * step))
                let bits = random.next()
                let due = Timestamp(milliseconds: now + 1 + Int64(random.below(500)))
                table.add(bits, of: firstID, due: due)
                runs[firstID] = bits
                for index in BitIndexes(bits) { expected[TaskID(firstID.rawValue + UInt64(index))] = due }
            case 1, 2:
                guard let firstID = runs.keys.sorted().randomElement(using: &random) else { continue }
                let bits = step % 3 == 0 ? .max : random.next() & random.next()
                table.remove(bits, of: firstID)
                let rest = (runs[firstID] ?? 0) & ~bits
                runs[firstID] = rest == 0 ? nil : rest
                for index in BitIndexes(bits) { expected[TaskID(firstID.rawValue + UInt64(index))] = nil }
            default:
                now += Int64(random.below(40))
                let due = table.takeDue(Timestamp(milliseconds: now))
                let wanted = expected.filter { $0.value.rawValue <= now }
                #expect(due.sorted() == wanted.keys.sorted(), "seed \(seed), step \(step)")
                for id in wanted.keys {
                    // Some could not be cancelled, and come again.
                    let later = Timestamp(milliseconds: now + 7)
                    let comesAgain = random.chance(1, in: 8)
                    if comesAgain { table.putBack(id, due: later) }
                    expected[id] = comesAgain ? later : nil
                }
            }
            #expect(table.isEmpty == runs.isEmpty)
        }
        for (firstID, bits) in runs { table.remove(bits, of: firstID) }
        #expect(table.isEmpty && table.nextDue == nil)
    }

    @Test("A second deadline of a task does not count")
    func firstDeadline() {
        var table = DeadlineTable()
        table.add(0b11, of: TaskID(5), due: Timestamp(milliseconds: 10))
        table.add(0b110, of: TaskID(5), due: Timestamp(milliseconds: 20))
        #expect(table.takeDue(Timestamp(milliseconds: 15)) == [TaskID(5), TaskID(6)])
        #expect(table.takeDue(Timestamp(milliseconds: 30)) == [TaskID(7)])
        table.remove(0b111, of: TaskID(5))
        #expect(table.isEmpty)
    }

    @Test("Tasks wait until the last dependency has ended, or the first that decides", arguments: 1...40)
    func dependencies(seed: UInt64) {
        struct Expected {
            var left: Set<UInt64>
            var failure: DependencyPolicy
            var cancel: DependencyPolicy
            var bits: UInt64
        }
        var random = SeededGenerator(seed: seed)
        var table = DependencyTable()
        var expected: [UInt64: Expected] = [:]
        for step in 0..<1500 {
            switch random.below(5) {
            case 0, 1:
                let wanted = Set((0...random.below(3)).map { _ in UInt64(1 + random.below(12)) }).sorted()
                var attributes = TaskAttributes()
                attributes.onDependencyFailure = random.pick(DependencyPolicy.allCases)
                attributes.onDependencyCancel = random.coin() ? random.pick(DependencyPolicy.allCases) : nil
                let run = SpawnRun.test(UInt64(1000 + 64 * step), count: 1 + random.below(64), parent: 0)
                let asked = table.add(
                    .init(ReadyRun(run: run, bits: run.allBits), attributes),
                    for: wanted.map { TaskDependency(TaskID($0)) })
                let known = expected.values.reduce(into: Set<UInt64>()) { $0.formUnion($1.left) }
                #expect(asked.allSatisfy { !known.contains($0.task.rawValue) }, "seed \(seed), step \(step)")
                expected[run.firstID.rawValue] = Expected(
                    left: Set(wanted), failure: attributes.onDependencyFailure,
                    cancel: attributes.onDependencyCancel ?? attributes.onDependencyFailure, bits: run.allBits)
            case 2, 3:
                let task = UInt64(1 + random.below(12))
                let kind = random.chance(1, in: 9) ? nil : random.pick(OutcomeKind.allCases)
                let decided = table.ended(TaskID(task), kind)
                var wanted: [UInt64: DependencyTable.Decision] = [:]
                for (id, entry) in expected where entry.left.contains(task) {
                    let policy = kind?.isFailure ?? true ? entry.failure : entry.cancel
                    expected[id]?.left.remove(task)
                    if kind != .completed, policy != .ignore {
                        wanted[id] = .end(policy == .fail ? .dependencyFailed : .cancelled)
                    } else if entry.left.count == 1 {
                        wanted[id] = .run
                    }
                }
                for (waiting, decision) in decided {
                    let id = waiting.tasks.run.firstID.rawValue
                    #expect(wanted[id] == decision && expected[id]?.bits == waiting.tasks.bits, "seed \(seed)")
                    expected[id] = nil
                }
                #expect(decided.count == wanted.count, "seed \(seed), step \(step)")
            default:
                guard let id = expected.keys.sorted().randomElement(using: &random) else { continue }
                let bits = random.next()
                let removed = table.remove { $0.run.firstID.rawValue == id ? bits : 0 }
                let gone = (expected[id]?.bits ?? 0) & bits
                #expect(removed.map(\.bits) == (gone == 0 ? [] : [gone]))
                expected[id]?.bits &= ~bits
                if expected[id]?.bits == 0 { expected[id] = nil }
            }
            #expect(table.count == expected.values.reduce(0) { $0 + $1.bits.nonzeroBitCount })
        }
    }
}
