// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

/// Which steps fail, as the test says at the moment.
final class Faults: Sendable {
    private let numbers = Mutex<Set<Int>>([])

    init(_ numbers: Set<Int> = []) { set(numbers) }
    func set(_ new: Set<Int>) { numbers.withLock { $0 = new } }
    func check(_ number: Int) throws {
        if numbers.withLock({ $0.contains(number) }) { throw PermanentError(reason: "faulty", detail: "\(number)") }
    }
}

extension AsyncSequence {
    func collect() async throws -> [Element] {
        var all: [Element] = []
        for try await element in self { all.append(element) }
        return all
    }
}

@Suite("Dead letters and resubmission (T15)", .timeLimit(.minutes(15)))
struct DeadLetterTests {
    private func make(
        _ faults: Faults, files: SimulatedFileSystem = SimulatedFileSystem(), journal: Journal = Journal(),
        retry: RetryPolicy? = nil
    ) async throws -> TestScheduler {
        try await TestScheduler(files: files) {
            $0.register(
                StepHandler { step, context in
                    try faults.check(step.number)
                    journal.note("done \(step.number)")
                    return Int64(step.number)
                }, retry: retry)
            $0.register(
                PlanHandler(onFinalize: { context in
                    try faults.check(1000 + Int(context.counts.total))
                }), onChildFailure: .tolerate)
        }
    }

    @Test("What a failed task leaves reads back, and damaged bytes are no remains", arguments: 0..<200)
    func remains(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var remains = TaskRemains(priority: UInt8(random.below(256)))
        remains.attributes = random.bytes(random.below(300))
        remains.payload = random.bytes(random.below(3000))
        if random.coin() { remains.handover = random.bytes(random.below(40)) }
        if random.coin() { remains.key = TaskKey(bytes: random.bytes(15) + [1]) }
        remains.stoppedChildren = random.coin()
        let bytes = remains.encoded()
        #expect(TaskRemains(decoding: bytes) == remains)
        for _ in 0..<50 {
            var damaged = bytes
            for _ in 0..<random.below(4) { damaged[random.below(damaged.count)] = UInt8(random.below(256)) }
            // Whatever comes out, it must not trap.
            _ = TaskRemains(decoding: Array(damaged.prefix(random.below(damaged.count + 1))))
        }
        #expect(TaskRemains(decoding: []) == nil)
    }

    @Test("Failures are listed in order, by type and by tag; what completed left nothing")
    func list() async throws {
        let faults = Faults([2, 4, 1003])
        let test = try await make(faults)
        let scheduler = test.scheduler
        for number in 1...5 {
            let options = TaskOptions(group: "g\(number)", tags: ["odd/\(number % 2)", "n/\(number)"])
            _ = try await scheduler.submit(Step(number: number), options: options)
        }
        let plan = try await scheduler.submit(Plan(children: 3))
        await test.runUntilIdle()
        let letters = try await scheduler.deadLetters().collect()
        #expect(letters.map(\.type) == [Step.type, Step.type, Plan.type])
        #expect(letters.map(\.tags) == [["n/2", "odd/0"], ["n/4", "odd/0"], []])
        #expect(letters[0].group == "g2")
        #expect(letters[0].failure == FailureInfo(reason: "faulty", detail: "2"))
        #expect(letters.allSatisfy { $0.canRunAgain && !$0.wasResubmitted && $0.kind == .failed && $0.attempts == 1 })
        #expect(try await scheduler.deadLetters(of: Plan.type).collect().map(\.id) == [plan.id])
        #expect(try await scheduler.deadLetters(tag: "n/4").collect().map(\.tags) == [["n/4", "odd/0"]])
        #expect(try await scheduler.deadLetters(tag: "odd/").collect().count == 2)
        #expect(try await scheduler.deadLetters(tag: "odd/1").collect().isEmpty)
        let below = try await scheduler.deadLetters(below: plan.id).collect()
        #expect(below.map(\.failure.detail) == ["2"])
        #expect(below.map(\.parent) == [plan.id])
        var cursor = try scheduler.core.store.children(of: plan.id).makeCursor(columns: .attachments)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let size = block.withAttachment(at: index) { $0.byteCount }
                #expect((size == 0) == (block.kind(at: index) == .completed))
            }
        }
        try await test.stop()
    }

    @Test("A resubmitted task is as the old one was, and no task is resubmitted twice, over crashes too")
    func resubmit() async throws {
        let faults = Faults([7])
        let test = try await make(faults)
        let options = TaskOptions(key: "seven", priority: 9, group: "g", tags: ["a"])
        let old = try await test.scheduler.submit(Step(number: 7), options: options)
        let fine = try await test.scheduler.submit(Step(number: 8))
        await test.runUntilIdle()
        #expect(try await old.outcome().kind == .failed)
        for (id, code) in [(fine.id, SchedulerError.Code.notResubmittable), (TaskID(99), .unknownTask)] {
            let error = await #expect(throws: SchedulerError.self) { try await test.scheduler.resubmit(id) }
            #expect(error?.code == code)
        }
        // Paused, so that it can be looked at.
        try await test.scheduler.pause(.everything)
        let new = try await test.scheduler.resubmit(old.id)
        let info = try #require(try await test.scheduler.task(new))
        #expect(info.priority == 9 && info.group == "g" && info.tags == ["a"] && info.parent == .none)
        #expect(try test.scheduler.handle(forKey: "seven", of: Step.self)?.id == new)
        faults.set([])
        let files = test.files.crash(keeping: .dropAll)
        try await test.stop()

        let second = try await make(faults, files: files)
        let error = await #expect(throws: SchedulerError.self) { try await second.scheduler.resubmit(old.id) }
        #expect(error?.code == .notResubmittable)
        try await second.scheduler.resume(.everything)
        await second.runUntilIdle()
        #expect(try await second.scheduler.handle(for: new, of: Step.self).memo().value == 7)
        #expect(try await second.scheduler.deadLetters().collect().map(\.wasResubmitted) == [true])
        try await second.stop()
    }

    @Test("A key that a live task has keeps a dead letter where it is")
    func keys() async throws {
        let faults = Faults([1])
        let test = try await make(faults)
        let options = TaskOptions(key: "one")
        let old = try await test.scheduler.submit(Step(number: 1), options: options)
        await test.runUntilIdle()
        try await test.scheduler.pause(.everything)
        _ = try await test.scheduler.submit(Step(number: 2), options: options)
        let error = await #expect(throws: SchedulerError.self) { try await test.scheduler.resubmit(old.id) }
        #expect(error?.code == .duplicateKey)
        #expect(try await test.scheduler.resubmitDeadLetters() == 0)
        try await test.scheduler.resume(.everything)
        await test.runUntilIdle()
        #expect(try await test.scheduler.resubmitDeadLetters() == 1)
        try await test.stop()
    }

    @Test("Marks of tasks that were resubmitted one by one go with dropped trees, too")
    func marksGo() async throws {
        let test = try await TestScheduler { $0.register(StepHandler { _, _ in throw Trouble("no") }) }
        let store = test.scheduler.core.store
        for number in 0..<200 {
            let id = try await test.scheduler.submit(Step(number: number)).id
            await test.runUntilIdle()
            let new = try await test.scheduler.resubmit(id)
            await test.runUntilIdle()
            try await store.dropTree(id)
            try await store.dropTree(new)
        }
        #expect(store.values(withPrefix: "quern/").count < 100)
        try await test.stop()
    }

    @Test("All dead letters of a type or tag are resubmitted, each once; marks go with dropped trees")
    func resubmitAll() async throws {
        let faults = Faults(Set(0..<300))
        let journal = Journal()
        let test = try await make(faults, journal: journal)
        let scheduler = test.scheduler
        for number in 0..<300 {
            _ = try await scheduler.submit(
                Step(number: number), options: TaskOptions(tags: ["part/\(number % 3)"]))
        }
        await test.runUntilIdle()
        faults.set([])
        #expect(try await scheduler.resubmitDeadLetters(of: Plan.type) == 0)
        #expect(try await scheduler.resubmitDeadLetters(of: Step.type, tag: "part/1") == 100)
        #expect(try await scheduler.resubmitDeadLetters() == 200)
        #expect(try await scheduler.resubmitDeadLetters() == 0)
        await test.runUntilIdle()
        #expect(journal.all.count == 300)
        #expect(journal.all.values.allSatisfy { $0 == 1 })
        let store = scheduler.core.store
        #expect(store.values(withPrefix: "quern/").count == 300)
        _ = try await store.applyRetention(RetentionPolicy(count: 250), now: test.clock.now)
        #expect(try await scheduler.resubmitDeadLetters() == 0)
        #expect(store.values(withPrefix: "quern/").isEmpty)
        try await test.stop()
    }

    @Test("Whatever ends a task in failure leaves what it takes to run it again", arguments: [1, 100])
    func causes(children: Int) async throws {
        let faults = Faults()
        let test = try await make(faults)
        let scheduler = test.scheduler
        try await scheduler.pause(.type(Step.type))
        let expired = try await scheduler.submit(Step(number: 1))
        let blocked = try await scheduler.submit(Step(number: 2), options: TaskOptions(tags: ["two"]))
        let cancelled = try await scheduler.submit(Step(number: 3))
        // With its children, when it has executed: it runs from the start again.
        let plan = try await scheduler.submit(Plan(children: children))
        await test.runUntilIdle()
        var transaction = Transaction()
        transaction.requestCancel(expired.id, as: .expired)
        transaction.requestCancel(blocked.id, as: .dependencyFailed)
        transaction.requestCancel(cancelled.id)
        transaction.requestCancel(plan.id, as: .expired)
        try await scheduler.core.store.append(transaction)
        await test.runUntilIdle()
        let letters = try await scheduler.deadLetters().collect()
        #expect(Set(letters.map(\.id)) == [expired.id, blocked.id, plan.id])
        #expect(letters.allSatisfy { $0.canRunAgain && $0.attempts == 0 })
        #expect(letters.first { $0.id == blocked.id }?.kind == .dependencyFailed)
        #expect(try await scheduler.deadLetters(below: plan.id).collect().isEmpty)
        var cursor = try scheduler.core.store.children(of: plan.id).makeCursor(columns: .attachments)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count { #expect(block.withAttachment(at: index) { $0.byteCount } == 0) }
        }
        let error = await #expect(throws: SchedulerError.self) { try await scheduler.redrive(plan.id) }
        #expect(error?.code == .notResubmittable)
        let again = try await scheduler.resubmit(plan.id)
        #expect(try await scheduler.resubmitDeadLetters() == 2)
        try await scheduler.resume(.type(Step.type))
        await test.runUntilIdle()
        let memo = try await scheduler.handle(for: again, of: Plan.self).memo()
        #expect(memo.completed == UInt64(children))
        #expect(try scheduler.core.store.children(of: .none).counts.completed == 3)
        try await test.stop()
    }

    @Test("A task too large to be kept with its outcome ends all the same, and says that it cannot run again")
    func tooLarge() {
        var remains = TaskRemains(priority: 1)
        remains.payload = [UInt8](repeating: 1, count: Limits.valueBytes - 100)
        #expect(!remains.encoded().isEmpty)
        remains.payload.append(contentsOf: [UInt8](repeating: 1, count: 100))
        #expect(remains.encoded().isEmpty)
    }

    @Test("The last error of a task that is to be tried again can be looked up, after a restart too")
    func lastError() async throws {
        let retrying = Faults()
        let test = try await TestScheduler {
            $0.register(
                StepHandler { _, context in throw Trouble("attempt \(context.attempt)") },
                retry: .constant(.seconds(60), attempts: 3))
        }
        let handle = try await test.scheduler.submit(Step(number: 1))
        await test.advance(by: .seconds(70))
        func check(_ scheduler: TaskScheduler) async throws {
            let info = try #require(try await scheduler.task(handle.id))
            #expect(info.attempts == 2)
            #expect(info.failure?.detail == "attempt 2")
            guard case .delayed(let due) = info.state else { throw Trouble("\(info.state)") }
            #expect(due == Timestamp(milliseconds: 1_700_000_120_000))
        }
        try await check(test.scheduler)
        let files = test.files.crash(keeping: .keepAll)
        try await test.stop()
        let second = try await make(retrying, files: files)
        try await check(second.scheduler)
        try await second.stop()
    }
}
