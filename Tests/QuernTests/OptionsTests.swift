// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// Says of itself what its tests need.
private struct Parcel: DurableTask {
    static let type: TaskType = "test.parcel"
    static let options = TaskOptions(priority: 90, group: "type", tags: ["parcel"])
    var number: Int
    typealias Memo = NoMemo
}

private struct Depot: TaskDomain {
    var name = "depot"
    var options = TaskOptions(priority: 80, group: "domain", tags: ["depot"], retry: .constant(.zero, attempts: 2))
    var concurrency: Int? = 2
    var journal: Journal
    var body: @Sendable (Parcel, TaskContext) async throws -> Void = { _, _ in }

    func register(in registry: inout Registry) {
        registry.register(
            ClosureHandler(Parcel.self) { [journal, body] task, context in
                journal.note("parcel \(task.number)")
                try await body(task, context)
                return NoMemo()
            })
        registry.register(StepHandler.noting(in: journal))
    }
}

@Suite("TaskOptions: what is said at the call, of the type, of the domain, of all", .timeLimit(.minutes(15)))
struct OptionsTests {
    private let files = SimulatedFileSystem()
    private let journal = Journal()

    private func scheduler(_ options: TaskOptions = TaskOptions(), _ register: (inout Registry) throws -> Void)
        async throws
        -> TaskScheduler
    {
        var configuration = TaskScheduler.Configuration.simulated(files)
        configuration.options = options
        return try await TaskScheduler(storeAt: "/store", configuration: configuration, register)
    }

    private func attributes(_ id: TaskID, _ scheduler: TaskScheduler) throws -> TaskAttributes {
        let run = try #require(scheduler.core.store.run(of: id))
        return try TaskAttributes(decoding: scheduler.core.store.attributes(of: run))
    }

    @Test("The call goes before the type, that before the domain, that before the scheduler; tags add up")
    func precedence() async throws {
        let everything = TaskOptions(priority: 70, group: "all", tags: ["all"], timeToLive: TimeToLive(.seconds(9)))
        let scheduler = try await scheduler(everything) {
            try $0.register(domain: Depot(journal: journal))
            $0.register(PlanHandler())
        }
        func facts(_ id: TaskID) throws -> (UInt8?, String?, [String]) {
            let attributes = try attributes(id, scheduler)
            #expect(attributes.timeToLive == TimeToLive(.seconds(9)) && attributes.retry == nil)
            return (scheduler.core.store.run(of: id)?.priority, attributes.group, attributes.tags)
        }
        let call = TaskOptions(priority: 1, group: "call", tags: ["call", "all"])
        #expect(
            try await facts(scheduler.submit(Parcel(number: 1), options: call).id) == (
                1, "call", ["all", "call", "depot", "parcel"]
            ))
        #expect(try await facts(scheduler.submit(Parcel(number: 1)).id) == (90, "type", ["all", "depot", "parcel"]))
        #expect(try await facts(scheduler.submit(Step(number: 1)).id) == (80, "domain", ["all", "depot"]))
        #expect(try await facts(scheduler.submit(Plan(children: 0)).id) == (70, "all", ["all"]))
        try await scheduler.close()
    }

    @Test("A type of which nothing is said spawns without attributes and keys")
    func nothing() async throws {
        let scheduler = try await scheduler { $0.register(StepHandler()) }
        let handle = try await scheduler.submit(Step(number: 1))
        let run = try #require(scheduler.core.store.run(of: handle.id))
        #expect(scheduler.core.store.attributes(of: run).isEmpty && run.priority == 128)
        #expect(handle.submission == .inserted)
        try await scheduler.close()
    }

    @Test("A retry policy of the call outlives the process; else the type's own counts when an attempt fails")
    func retries() async throws {
        let first = try await scheduler { try $0.register(domain: Depot(journal: journal)) }
        let call = TaskOptions(retry: .constant(.zero, attempts: 4))
        let ids = try await [
            first.submit(contentsOf: [Parcel(number: 1)], options: call)[0].id, first.submit(Parcel(number: 2)).id,
        ]
        try await first.close()
        try await withScheduler(files) {
            try $0.register(domain: Depot(journal: journal) { task, context in throw Trouble("\(context.attempt)") })
        } _: { scheduler in
            let attempts = try await ids.asyncMap {
                try await scheduler.handle(for: $0, of: Parcel.self).outcome().attempts
            }
            #expect(attempts == [4, 2])
        }
        #expect(journal.count("parcel 1") == 4 && journal.count("parcel 2") == 2)
    }

    @Test("Better tasks go first, and setPriority moves those that wait, also after a restart")
    func priorities() async throws {
        let first = try await scheduler { $0.register(StepHandler()) }
        var ids: [TaskID] = []
        for (number, priority) in [200, 100, 150, 128].enumerated() {
            let options = TaskOptions(priority: UInt8(priority))
            ids.append(try await first.submit(Step(number: number), options: options).id)
        }
        #expect(try await first.setPriority(50, of: ids[0]))
        #expect(try await !first.setPriority(50, of: TaskID(99)))
        try await first.close()
        let order = Mutex<[Int]>([])
        let gate = Gate()
        try await withScheduler(files, concurrency: 1) {
            $0.register(
                StepHandler { step, _ in
                    order.withLock { $0.append(step.number) }
                    if step.number == 0 { await gate.pass() }
                    return 0
                })
        } _: { scheduler in
            try await eventually { order.withLock { $0.count } == 1 }
            #expect(try await scheduler.setPriority(3, of: ids[3]))
            gate.open()
            for id in ids { _ = try await scheduler.handle(for: id, of: Step.self).memo() }
        }
        #expect(order.withLock { $0 } == [0, 3, 1, 2])
    }

    @Test("A key's task is the only one; what becomes of others is told in order")
    func keys() async throws {
        let scheduler = try await scheduler { $0.register(StepHandler()) }
        func key(_ step: Step) -> String? { step.number < 0 ? nil : "\(step.number)" }
        func submit(_ numbers: [Int], _ policy: DuplicatePolicy?) async throws -> [TaskHandle<Step>] {
            try await scheduler.submit(
                contentsOf: numbers.map { Step(number: $0) }, options: TaskOptions(onDuplicate: policy), key: key)
        }
        let first = try await submit([1, 2, -1, -1, 1], nil)
        #expect(first.map(\.submission) == [.duplicate, .inserted, .inserted, .inserted, .inserted])
        #expect(first[0].id == first[4].id && Set(first.map(\.id)).count == 4)
        let skipped = try await submit([2, 3, 1], .skip)
        #expect(skipped.map(\.submission) == [.duplicate, .inserted, .duplicate])
        #expect(skipped[0].id == first[1].id && skipped[2].id == first[0].id)
        let rejected = try await submit([4, 3], .reject)
        #expect(rejected.map(\.submission) == [.inserted, .rejected] && rejected[1].id == skipped[1].id)
        let replaced = try await submit([2, 5], .replace)
        #expect(replaced.map(\.submission) == [.replaced(first[1].id), .inserted])
        #expect(try scheduler.handle(forKey: "2", of: Step.self)?.id == replaced[0].id)
        do {
            _ = try await scheduler.submit(Step(number: 0), options: TaskOptions(key: "5", onDuplicate: .reject))
            Issue.record("it is a duplicate")
        } catch { #expect(error.code == .duplicateKey && error.cause?.task == replaced[1].id) }
        #expect(try await submit([], nil).isEmpty)
        try await scheduler.close()
    }

    @Test("A replaced task ends as superseded, whether it waits or runs, with its hook")
    func superseded() async throws {
        let gate = Gate()
        let options = TaskOptions(key: "only", onDuplicate: .replace)
        let kinds = try await withScheduler(files, concurrency: 1) {
            $0.register(
                StepHandler { [journal] step, _ in
                    journal.note("runs \(step.number)")
                    if step.number == 0 { try await gate.passOrThrow() }
                    return 0
                })
        } _: { scheduler in
            var handles = [try await scheduler.submit(Step(number: 0), options: options)]
            try await journal.wait(for: "runs 0")
            try await scheduler.pause(.everything)
            for number in 1...3 { handles.append(try await scheduler.submit(Step(number: number), options: options)) }
            try await scheduler.resume(.everything)
            return try await handles.asyncMap { try await $0.outcome().kind }
        }
        #expect(kinds == [.superseded, .superseded, .superseded, .completed])
        #expect(journal.count("runs 1") + journal.count("runs 2") == 0)
    }

    @Test("Children and siblings take options; keys are among the children of one parent")
    func children() async throws {
        let memo = try await withScheduler(files) {
            $0.register(
                StepHandler { [journal] step, context in
                    journal.note("step \(step.number)")
                    if step.number == 1 {
                        try context.spawnSibling(Step(number: 10), options: TaskOptions(key: "ten", priority: 3))
                        try context.spawnSibling(Step(number: 11), options: TaskOptions(key: "ten"))
                    }
                    return Int64(step.number)
                })
            $0.register(
                PlanHandler(onExecute: { plan, context in
                    try context.spawnChildren((1...plan.children).map { Step(number: $0) }, key: { "\($0.number % 5)" })
                    try context.spawnChild(Step(number: 100), options: TaskOptions(key: "0", onDuplicate: .skip))
                    for name in ["", String(repeating: "x", count: 300)] {
                        #expect(throws: SchedulerError.self) {
                            try context.spawnChild(Step(number: 7), options: TaskOptions(group: name))
                        }
                    }
                }))
        } _: { scheduler in
            let plans = try await scheduler.submit(contentsOf: [Plan(children: 5), Plan(children: 5)])
            return try await plans.asyncMap { try await $0.memo() }
        }
        #expect(memo.map(\.sum) == [121, 121], "1 to 4, 100 in the place of 5, and 11 in that of 10")
        #expect(journal.count("step 5") == 0 && journal.count("step 10") == 0)
    }

    @Test("A child whose key is taken is rejected where it is spawned, and nothing else is lost")
    func rejectedChild() async throws {
        @Sendable func execute(_ step: Step, _ context: TaskContext) throws -> Int64 {
            guard step.number == 1 else { return 1 }
            do {
                try context.spawnSibling(Step(number: 2), options: TaskOptions(key: "self", onDuplicate: .reject))
            } catch {
                return error.code == .duplicateKey && error.cause?.task == context.id ? 1 : 0
            }
            return 0
        }
        let memo = try await withScheduler(files) {
            $0.register(StepHandler { step, context in try execute(step, context) })
            $0.register(
                PlanHandler(onExecute: { _, context in
                    try context.spawnChild(Step(number: 1), options: TaskOptions(key: "self"))
                }))
        } _: {
            try await $0.submit(Plan(children: 1)).memo()
        }
        #expect(memo.sum == 1 && memo.failures == 0)
    }

    @Test("Attributes of a form that is not known hold their tasks; those can be cancelled")
    func unknownAttributes() async throws {
        let store = try await MemoStore.open(at: "/store", fileSystem: files)
        let label = try await store.label(for: Step.type.name)
        var transaction = Transaction()
        transaction.spawn(under: .none, label: label, attributes: [100, 0], at: Timestamp(milliseconds: 0)) { _ in }
        try await store.append(transaction)
        try await store.close()
        try await withScheduler(files) {
            $0.register(StepHandler.noting(in: journal))
        } _: { scheduler in
            #expect(scheduler.heldTypes == [HeldType(name: "test.step", count: 1)])
            let handle = try scheduler.unfinished(Step.self)[0]
            try await scheduler.cancel(handle.id)
            #expect(try await handle.outcome().kind == .cancelled)
            #expect(scheduler.heldTypes.isEmpty)
        }
        #expect(journal.count("step") == 0)
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ body: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}

@Suite("Groups and domains: limits that tasks share (T16)", .timeLimit(.minutes(15)))
struct GroupTests {
    private let files = SimulatedFileSystem()
    private let journal = Journal()

    @Test("No more tasks of a group run at a time than its limit says, whatever their types, also after a restart")
    func groupConcurrency() async throws {
        let running = Mutex((now: 0, most: 0))
        func register(_ registry: inout Registry) {
            registry.register(
                StepHandler { [journal] _, _ in
                    journal.note("group")
                    running.withLock {
                        $0.now += 1
                        $0.most = Swift.max($0.most, $0.now)
                    }
                    for _ in 0..<20 { await Task.yield() }
                    running.withLock { $0.now -= 1 }
                    return 0
                })
        }
        let first = try await idleScheduler(files, register)
        let options = TaskOptions(group: "slow")
        _ = try await first.submit(contentsOf: (0..<60).map { Step(number: $0) }, options: options)
        try await first.close()
        try await withScheduler(files, concurrency: 8) {
            register(&$0)
        } _: { scheduler in
            try await scheduler.pause(.everything)
            try scheduler.setConcurrency(2, for: .group("slow"))
            try await scheduler.pause(.group("slow"))
            try await scheduler.resume(.everything)
            let other = try await scheduler.submit(Step(number: 1))
            _ = try await other.memo()
            try await eventually { running.withLock { $0.now } == 0 }
            let handles = try scheduler.unfinished(Step.self)
            running.withLock { $0.most = 0 }
            try await scheduler.resume(.group("slow"))
            for handle in handles { _ = try await handle.memo() }
        }
        #expect(running.withLock { $0.most } <= 2)
        #expect(journal.count("group") == 61)
    }

    @Test("A paused group holds back its own tasks alone, finalize included")
    func groupPause() async throws {
        try await withScheduler(files) {
            $0.register(StepHandler())
            $0.register(PlanHandler())
        } _: { scheduler in
            let plan = try await scheduler.submit(Plan(children: 3), options: TaskOptions(group: "a/1"))
            _ = try await plan.memo()
            try await scheduler.pause(.group("a/1"))
            let held = try await scheduler.submit(Plan(children: 3), options: TaskOptions(group: "a/1"))
            _ = try await scheduler.submit(Plan(children: 3), options: TaskOptions(group: "a/2")).memo()
            #expect(scheduler.core.store.isLive(held.id))
            try await scheduler.resume(.group("a/1"))
            _ = try await held.memo()
        }
    }

    @Test("Groups without tasks and limits are forgotten, those with limits are not")
    func groupsGo() async throws {
        try await withScheduler(files) {
            $0.register(StepHandler())
        } _: { scheduler in
            try scheduler.setConcurrency(1, for: .group("limited"))
            scheduler.setWeight(2, ofGroup: "heavy")
            for round in 0..<10 {
                let handles = try await scheduler.submit(
                    contentsOf: [Step(number: round)], options: TaskOptions(group: "r\(round)"))
                for number in 0..<100 {
                    _ = try await scheduler.submit(
                        Step(number: number), options: TaskOptions(group: "\(round)/\(number)")
                    ).memo()
                }
                for handle in handles { _ = try await handle.memo() }
            }
            #expect(scheduler.core.read { $0.dispatcher.limiters.groups.count } <= 140)
            // A memo is told when it is committed, which may be before the worker reports its pull.
            try await eventually { scheduler.core.perform { $0.dispatcher.limiters.groups.taskCount } == 0 }
            let isKnown = scheduler.core.perform { state in
                let groups = state.dispatcher.limiters.groups
                return groups.isKnown("limited") && groups.isKnown("heavy")
            }
            #expect(isKnown)
        }
    }

    @Test("No more tasks of a domain run at a time than it says, all its types together")
    func domainConcurrency() async throws {
        let running = Mutex((now: 0, most: 0))
        let body: @Sendable (Parcel, TaskContext) async throws -> Void = { _, _ in
            running.withLock {
                $0.now += 1
                $0.most = Swift.max($0.most, $0.now)
            }
            for _ in 0..<20 { await Task.yield() }
            running.withLock { $0.now -= 1 }
        }
        try await withScheduler(files, concurrency: 8) {
            try $0.register(domain: Depot(journal: journal, body: body))
        } _: { scheduler in
            for handle in try await scheduler.submit(contentsOf: (0..<40).map { Parcel(number: $0) }) {
                _ = try await handle.outcome()
            }
            try await scheduler.pause(.domain("depot"))
            let held = try await scheduler.submit(Step(number: 1))
            #expect(scheduler.statistics.ready == 1)
            try await scheduler.resume(.domain("depot"))
            _ = try await held.memo()
            #expect(throws: SchedulerError.self) { try scheduler.setConcurrency(1, for: .domain("none")) }
        }
        #expect(running.withLock { $0.most } <= 2)
    }

    @Test("Two domains of one name, or of none, are refused")
    func domainNames() async throws {
        struct Empty: TaskDomain {
            var name: String
            func register(in registry: inout Registry) {}
        }
        for names in [[""], ["a", "a"]] {
            await #expect(throws: SchedulerError.self) {
                try await idleScheduler(files) { for name in names { try $0.register(domain: Empty(name: name)) } }
            }
        }
    }
}
