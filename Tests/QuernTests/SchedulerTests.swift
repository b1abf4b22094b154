// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("TaskScheduler: registration, submission, running", .timeLimit(.minutes(20)))
struct SchedulerTests {
    @Test("Two handlers for a type, or a bad name, are refused")
    func registration() async throws {
        struct Nameless: DurableTask {
            static let type: TaskType = ""
            typealias Memo = NoMemo
        }
        struct NamelessHandler: TaskHandler {
            func execute(_ task: Nameless, in context: TaskContext) async throws -> NoMemo { NoMemo() }
        }
        let twice = await #expect(throws: SchedulerError.self) {
            _ = try await idleScheduler {
                $0.register(StepHandler())
                $0.register(StepHandler())
            }
        }
        #expect(twice?.code == .alreadyRegistered)
        let nameless = await #expect(throws: SchedulerError.self) {
            _ = try await idleScheduler { $0.register(NamelessHandler()) }
        }
        #expect(nameless?.code == .invalidTypeName)
    }

    @Test("A refused scheduler leaves the store free")
    func refusedInit() async throws {
        let files = SimulatedFileSystem()
        await #expect(throws: Trouble.self) { _ = try await idleScheduler(files) { _ in throw Trouble("no") } }
        let scheduler = try await idleScheduler(files) { $0.register(StepHandler()) }
        let second = await #expect(throws: SchedulerError.self) {
            _ = try await idleScheduler(files) { $0.register(StepHandler()) }
        }
        #expect(second?.cause?.code == .locked)
        try await scheduler.close()
    }

    @Test("What is not registered cannot be submitted, and what is too large neither")
    func submission() async throws {
        struct Large: DurableTask {
            static let type: TaskType = "test.large"
            var bytes: [UInt8]
            typealias Memo = NoMemo
        }
        struct LargeHandler: TaskHandler {
            func execute(_ task: Large, in context: TaskContext) async throws -> NoMemo {
                #expect(task.bytes.count == 1 << 20)
                return NoMemo()
            }
        }
        try await withScheduler {
            $0.register(LargeHandler())
        } _: { scheduler in
            let unknown = await #expect(throws: SchedulerError.self) { try await scheduler.submit(Step(number: 1)) }
            #expect(unknown?.code == .notRegistered)
            let large = await #expect(throws: SchedulerError.self) {
                try await scheduler.submit(Large(bytes: Array(repeating: 1, count: (16 << 20) + 1)))
            }
            #expect(large?.code == .payloadTooLarge)
            _ = try await scheduler.submit(Large(bytes: Array(repeating: 1, count: 1 << 20))).memo()
        }
    }

    @Test("run() is for once, and what comes after it is told so")
    func runOnce() async throws {
        let scheduler = try await idleScheduler { $0.register(StepHandler()) }
        let service = Task { try await scheduler.run() }
        _ = try await scheduler.submit(Step(number: 1)).memo()
        let twice = await #expect(throws: SchedulerError.self) { try await scheduler.run() }
        #expect(twice?.code == .alreadyRunning)
        scheduler.core.stop(immediately: false)
        try await service.value
        let after = await #expect(throws: SchedulerError.self) { try await scheduler.submit(Step(number: 2)) }
        #expect(after?.code == .stopped)
        let again = await #expect(throws: SchedulerError.self) { try await scheduler.run() }
        #expect(again?.code == .stopped)
    }

    @Test("No more handlers run at a time than the limit says, and no fewer when they are slow", arguments: [1, 2, 7])
    func concurrencyLimit(limit: Int) async throws {
        let running = Mutex((now: 0, most: 0))
        try await withScheduler(concurrency: limit) {
            $0.register(
                StepHandler { step, _ in
                    running.withLock { state in
                        state.now += 1
                        state.most = max(state.most, state.now)
                    }
                    try await Task.sleep(for: .milliseconds(2))
                    running.withLock { $0.now -= 1 }
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let answer = try await scheduler.submit(Plan(children: 150)).memo()
            #expect(answer.completed == 150)
            #expect(running.withLock { $0.most } == limit)
        }
    }

    @Test("Handlers that block run on threads and do not keep the others from running")
    func blockingHandlers() async throws {
        struct Blocking: DurableTask {
            static let type: TaskType = "test.blocking"
            typealias Memo = Step.Memo
        }
        struct BlockingHandler: TaskHandler {
            let isOpen: @Sendable () -> Bool
            func execute(_ task: Blocking, in context: TaskContext) async throws -> Step.Memo {
                while !isOpen() { _ = usleepBriefly() }
                return Step.Memo(value: 1)
            }
        }
        let isOpen = Mutex(false)
        try await withScheduler(concurrency: 8) {
            $0.register(BlockingHandler(isOpen: { isOpen.withLock { $0 } }), runsOn: .threads)
            $0.register(StepHandler())
        } _: { scheduler in
            var blocked: [TaskHandle<Blocking>] = []
            for _ in 0..<4 { blocked.append(try await scheduler.submit(Blocking())) }
            try await eventually { scheduler.statistics.running == 4 }
            let answer = try await scheduler.submit(Step(number: 8)).memo()
            #expect(answer.value == 8)
            isOpen.withLock { $0 = true }
            for handle in blocked { #expect(try await handle.memo().value == 1) }
        }
    }

    @Test("A slow task does not hold back the outcomes of its neighbours")
    func slowNeighbour() async throws {
        let gate = Gate()
        try await withScheduler(concurrency: 1) {
            $0.register(
                StepHandler { step, _ in
                    if step.number == 400 { try await gate.passOrThrow() }
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 401))
            try await eventually { scheduler.progress(of: handle.id)?.counts.completed == 400 }
            #expect(scheduler.progress(of: handle.id)?.liveChildren == 1)
            gate.open()
            let answer = try await handle.memo()
            #expect(answer.completed == 401)
        }
    }

    @Test("Without space the scheduler waits, and goes on by itself when there is some")
    func noSpace() async throws {
        let files = SimulatedFileSystem()
        try await withScheduler(files) {
            $0.register(
                StepHandler { step, _ in
                    if step.number == 50 { files.faults.capacity = files.usedBytes }
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 2000))
            try await eventually { scheduler.core.read { $0.dispatcher.isStalled } }
            files.faults.capacity = nil
            let answer = try await handle.memo()
            #expect(answer.completed == 2000)
        }
    }

    @Test("A store that fails ends the scheduler and everyone's wait")
    func storeFailure() async throws {
        let files = SimulatedFileSystem()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: .simulated(files)) {
            $0.register(
                StepHandler { step, _ in
                    files.faults.fail(.synchronize, at: 1, with: .ioError, .fromThenOn)
                    return 1
                })
        }
        let service = Task { try await scheduler.run() }
        let handle = try await scheduler.submit(Step(number: 1))
        let waited = await #expect(throws: SchedulerError.self) { try await handle.memo() }
        #expect(waited?.code == .store)
        let ran = await #expect(throws: SchedulerError.self) { try await service.value }
        #expect(ran?.cause?.code == .indeterminate)
    }

    @Test("Statistics and progress tell what there is to do")
    func statistics() async throws {
        let gate = Gate()
        try await withScheduler(concurrency: 2) {
            $0.register(
                StepHandler { _, _ in
                    try await gate.passOrThrow()
                    return 1
                })
            $0.register(PlanHandler())
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 10))
            try await eventually { scheduler.statistics.running == 2 }
            #expect(scheduler.statistics.waitingParents == 1)
            #expect(scheduler.progress(of: handle.id)?.liveChildren == 10)
            #expect(scheduler.progress(of: handle.id)?.isExecuted == true)
            gate.open()
            _ = try await handle.memo()
            #expect(scheduler.statistics.ended == 11)
            #expect(scheduler.progress(of: handle.id) == nil)
        }
    }
}
