// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

/// A scheduler and the reference, moved by the same steps: spawns with delays, times to live and dependencies, cancels,
/// time, crashes and time that passes while no process has the store.
private struct WaitingModel {
    var random: SeededGenerator
    var test: TestScheduler
    var reference: WaitingReference
    var ids: [TaskID] = []
    var number = 0

    init(seed: UInt64) async throws {
        random = SeededGenerator(seed: seed)
        test = try await Self.start(SimulatedFileSystem(), at: 1_700_000_000_000)
        reference = WaitingReference(now: test.clock.now.rawValue)
    }

    static func start(_ files: SimulatedFileSystem, at time: Int64) async throws -> TestScheduler {
        try await TestScheduler(files: files, now: Timestamp(milliseconds: time)) {
            $0.register(
                StepHandler { step, context in
                    if context.attempt <= WaitingReference.failures(of: step.number) { throw Trouble("not yet") }
                    if WaitingReference.failsForGood(step.number) { throw PermanentError(reason: "never") }
                    return 0
                }, retry: .constant(.milliseconds(WaitingReference.retryDelay), attempts: 9))
        }
    }

    mutating func step() async throws {
        switch random.below(100) {
        case 0..<50: try await spawn()
        case 50..<58:
            guard let id = reference.live.randomElement(using: &random) else { return }
            #expect(try await test.scheduler.cancel(id))
            reference.cancel(id)
            await test.runUntilIdle()
        case 58..<91:
            let time = reference.now + Int64(random.below(1_500_000))
            await test.advance(to: Timestamp(milliseconds: time))
            reference.advance(to: time)
        default: try await restart()
        }
    }

    private mutating func spawn() async throws {
        var options = TaskOptions()
        if random.chance(1, in: 3) { options.start = .after(.milliseconds(random.below(3_000_000))) }
        if random.chance(1, in: 9) {
            options.start = .at(Timestamp(milliseconds: reference.now + Int64(random.below(2_000_000)) - 500_000))
        }
        if random.chance(1, in: 3) {
            let basis: TimeToLive.Basis = random.coin() ? .submission : .firstAttempt
            options.timeToLive = TimeToLive(.milliseconds(1 + random.below(2_500_000)), from: basis)
        }
        if random.chance(1, in: 2), !ids.isEmpty {
            let recent = ids.suffix(20)
            let wanted = Set((0...random.below(3)).map { _ in random.pick(recent) })
            options.dependencies = wanted.sorted().map { TaskDependency($0) }
            if random.coin() { options.onDependencyFailure = random.pick(DependencyPolicy.allCases) }
            if random.coin() { options.onDependencyCancel = random.pick(DependencyPolicy.allCases) }
        }
        var steps: [Step] = []
        for _ in 0...random.below(3) {
            number += 1
            steps.append(Step(number: number))
        }
        let handles = try await test.scheduler.submit(contentsOf: steps, options: options)
        for (handle, step) in zip(handles, steps) {
            ids.append(handle.id)
            reference.spawn(handle.id, number: step.number, options)
        }
        await test.runUntilIdle()
    }

    private mutating func restart() async throws {
        var files = test.files
        if random.chance(1, in: 3) {
            try await test.stop()
        } else {
            files = files.crash(keeping: random.coin() ? .keepAll : .random(seed: random.next()))
            try await test.stop()
        }
        let time = reference.now + (random.coin() ? 0 : Int64(random.below(2_000_000)))
        test = try await Self.start(files, at: time)
        await test.runUntilIdle()
        reference.restart(at: time)
    }

    func check(_ place: String) throws {
        var found: [TaskID: WaitingReference.End] = [:]
        var cursor = try test.scheduler.core.store.children(of: .none).makeCursor(columns: .facts)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let end = WaitingReference.End(
                    kind: block.kind(at: index), attempts: block.attempts(at: index),
                    at: block.endedAt(at: index).rawValue)
                if found.updateValue(end, forKey: block.id(at: index)) != nil { throw Trouble("\(place): two ends") }
            }
        }
        let wanted = reference.ends
        for id in Set(found.keys).union(wanted.keys).sorted() where found[id] != wanted[id] {
            let options = reference.tasks[id].map { "\($0)" } ?? ""
            throw Trouble("\(place): \(id) ended as \(found[id] as Any), not \(wanted[id] as Any): \(options)")
        }
        let statistics = test.scheduler.statistics
        guard statistics.blocked == reference.blocked, statistics.delayed == reference.delayed else {
            throw Trouble("\(place): \(statistics), not \(reference.blocked) blocked, \(reference.delayed) delayed")
        }
        let rest = test.scheduler.core.read { $0.dispatcher.questionsUnderWay }
        if rest != 0 { throw Trouble("\(place): \(rest) questions") }
    }
}

@Suite("Delays, times to live and dependencies as a reference says (T10, T14, T16)", .timeLimit(.minutes(15)))
struct WaitingModelTests {
    @Test("Each task ends as the reference says, at its time, whatever crashes", arguments: 1...50)
    func model(seed: UInt64) async throws {
        var model = try await WaitingModel(seed: seed)
        for step in 0..<120 {
            try await model.step()
            try model.check("seed \(seed), step \(step)")
        }
        let end = model.reference.now + 50_000_000
        await model.test.advance(to: Timestamp(milliseconds: end))
        model.reference.advance(to: end)
        try model.check("seed \(seed), end")
        #expect(model.reference.live.isEmpty && model.test.scheduler.core.store.totals.live == 0)
        let isEmpty = model.test.scheduler.core.read {
            $0.dispatcher.deadlines.isEmpty && $0.dispatcher.dependencies.isEmpty && $0.dispatcher.doomed.isEmpty
        }
        #expect(isEmpty, "seed \(seed)")
        try await model.test.stop()
    }
}
