// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

@Suite("When checkpoints are written (S6)")
struct CheckpointScheduleTests {
    typealias Event = CheckpointSchedule.Event
    typealias Action = CheckpointSchedule.Action
    typealias State = CheckpointSchedule.State

    struct Row: Sendable, CustomTestStringConvertible {
        var state: State
        var event: Event
        var action: Action
        var next: State
        var testDescription: String { "\(state), \(event)" }
    }

    /// What leads from a new schedule, due at 100, to each state.
    static func schedule(_ state: State) -> CheckpointSchedule {
        var schedule = CheckpointSchedule(interval: 100, replayed: 0)
        let events: [Event] =
            switch state {
            case .idle: []
            case .running: [.logGrew(to: 100)]
            case .dueAgain: [.logGrew(to: 100), .logGrew(to: 200)]
            case .closing: [.logGrew(to: 100), .close]
            case .closed: [.close]
            }
        for event in events { _ = schedule.handle(event) }
        #expect(schedule.state == state)
        return schedule
    }

    @Test(
        "One at a time, none is forgotten, and the last one comes after all others",
        arguments: [
            Row(state: .idle, event: .logGrew(to: 99), action: .nothing, next: .idle),
            Row(state: .idle, event: .logGrew(to: 100), action: .begin, next: .running),
            Row(state: .idle, event: .close, action: .finish, next: .closed),
            Row(state: .running, event: .logGrew(to: 199), action: .nothing, next: .running),
            Row(state: .running, event: .logGrew(to: 200), action: .nothing, next: .dueAgain),
            Row(state: .running, event: .finished(bytes: 1), action: .nothing, next: .idle),
            Row(state: .running, event: .finished(bytes: nil), action: .nothing, next: .idle),
            Row(state: .running, event: .close, action: .nothing, next: .closing),
            Row(state: .dueAgain, event: .logGrew(to: 300), action: .nothing, next: .dueAgain),
            Row(state: .dueAgain, event: .finished(bytes: 1), action: .begin, next: .running),
            Row(state: .dueAgain, event: .close, action: .nothing, next: .closing),
            Row(state: .closing, event: .logGrew(to: 999), action: .nothing, next: .closing),
            Row(state: .closing, event: .finished(bytes: 1), action: .finish, next: .closed),
            Row(state: .closing, event: .close, action: .nothing, next: .closing),
            Row(state: .closed, event: .logGrew(to: 999), action: .nothing, next: .closed),
        ])
    func table(_ row: Row) {
        var schedule = Self.schedule(row.state)
        #expect(schedule.handle(row.event) == row.action)
        #expect(schedule.state == row.next)
    }

    @Test("What was asked for while one runs is not forgotten when a little log is written before it ends")
    func requestIsKept() {
        var schedule = Self.schedule(.running)
        #expect(schedule.handle(.requested) == .nothing)
        #expect(schedule.handle(.logGrew(to: 150)) == .nothing)
        #expect(schedule.handle(.finished(bytes: 1)) == .begin)
    }

    @Test("What was replayed counts as log that the next checkpoint waits for")
    func replayed() {
        #expect(CheckpointSchedule(interval: 100, replayed: 30).dueAt == 70)
        #expect(CheckpointSchedule(interval: 100, replayed: 300).dueAt == 0)
    }

    @Test("A checkpoint that is larger than the interval is followed by as much log before the next")
    func writesNoMoreThanTheLog() {
        var schedule = Self.schedule(.running)
        _ = schedule.handle(.finished(bytes: 1000))
        #expect(schedule.handle(.logGrew(to: 200)) == .begin)
        _ = schedule.handle(.finished(bytes: 1000))
        #expect(schedule.dueAt == 1200)
        #expect(schedule.handle(.logGrew(to: 1199)) == .nothing)
    }
}

@Suite("Live state that is copied while it changes (S6, S14)")
struct StateCopyTests {
    @Test("A copy of the map stays as it was, whatever happens to the original", arguments: [1, 2, 3] as [UInt64])
    func map(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var map = TaskMap<Int>()
        var model: [TaskID: Int] = [:]
        var copies: [(TaskMap<Int>, [TaskID: Int])] = []
        for step in 0..<20_000 {
            let task = TaskID(UInt64(random.below(3000)) * (step % 2 == 0 ? 1 : 4096))
            switch random.below(6) {
            case 0: #expect(map.removeValue(forKey: task) == model.removeValue(forKey: task))
            case 1:
                map[task] = nil
                model[task] = nil
            case 2:
                map.modify(task, default: 0) { $0 += 1 }
                model[task, default: 0] += 1
            case 3:
                #expect((map.modify(task) { $0 += 5 } != nil) == (model[task] != nil))
                model[task]? += 5
            default:
                map[task] = step
                model[task] = step
            }
            if step % 4000 == 0 { copies.append((map, model)) }
        }
        copies.append((map, model))
        for (map, model) in copies {
            let isSame = Dictionary(uniqueKeysWithValues: map.map { ($0.key, $0.value) }) == model
            #expect(isSame && map.count == model.count, "seed \(seed)")
            #expect(model.allSatisfy { map[$0.key] == $0.value }, "seed \(seed)")
            #expect(map.keys.reduce(0) { $0 + $1.rawValue } == model.keys.reduce(0) { $0 + $1.rawValue })
        }
    }

    @Test("The live table agrees with a set of ids, also in copies", arguments: [1, 2, 3, 4] as [UInt64])
    func liveTable(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = LiveTable()
        var model: Set<UInt64> = []
        var copies: [(LiveTable, Set<UInt64>)] = []
        var nextID: UInt64 = 1
        for step in 0..<6000 {
            let count = UInt64(1 + random.below(step % 3 == 0 ? 64 : 2))
            table.append(
                SpawnRun(
                    firstID: TaskID(nextID), parent: .none, submittedAt: Timestamp(milliseconds: 0),
                    label: Label(rawValue: 1), count: UInt8(count), priority: 0, segment: 1, frameOffset: 128,
                    recordOffset: 0))
            model.formUnion(nextID..<(nextID + count))
            nextID += count + UInt64(random.below(3))
            // Mostly the oldest end, as tasks do, and some stay for long.
            for _ in 0..<(step % 3000 < 1500 ? 8 : 20) {
                let id = random.below(3) == 0 ? 1 + UInt64(random.below(Int(nextID))) : model.min() ?? 1
                #expect((table.mark(TaskID(id)) != nil) == model.contains(id))
                if random.below(9) == 0 {
                    table.unmark(TaskID(id))
                } else {
                    table.end(TaskID(id))
                    model.remove(id)
                }
            }
            table.compactIfWorthwhile()
            if step % 1000 == 0 { copies.append((table, model)) }
        }
        copies.append((table, model))
        for (table, model) in copies {
            #expect(table.count == model.count, "seed \(seed)")
            let isSame = (0...nextID).allSatisfy { table.contains(TaskID($0)) == model.contains($0) }
            #expect(isSame, "seed \(seed)")
            let runs = table.runs.filter { $0.live != 0 }
            #expect(runs.reduce(0) { $0 + $1.live.nonzeroBitCount } == model.count, "seed \(seed)")
            let isSorted = zip(runs, runs.dropFirst()).allSatisfy { $0.run.firstID < $1.run.firstID }
            #expect(isSorted, "seed \(seed)")
            #expect(table.runs.count <= 4 * runs.count + 600, "seed \(seed)")
        }
    }
}
