// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

extension TaskScheduler.Configuration {
    /// A store in a simulated file system, and a quiet log.
    static func simulated(_ files: any FileSystem, clock: (any WallClock)? = nil, concurrency: Int = 4) -> Self {
        var configuration = Self()
        configuration.fileSystem = files
        // A full disk is to be felt at once, not when the zeros ahead of the log are used up.
        configuration.store.logReserveBytes = 0
        configuration.concurrency = concurrency
        configuration.logger.logLevel = .critical
        if let clock { configuration.clock = clock }
        return configuration
    }
}

/// Makes a scheduler on a store at a fixed path of a file system, and runs it while `body` does.
@discardableResult
func withScheduler<Result>(
    _ files: any FileSystem = SimulatedFileSystem(), clock: (any WallClock)? = nil, concurrency: Int = 4,
    hookLimit: Duration = .seconds(5), _ register: (inout Registry) throws -> Void,
    _ body: (TaskScheduler) async throws -> Result
) async throws -> Result {
    var configuration = TaskScheduler.Configuration.simulated(files, clock: clock, concurrency: concurrency)
    configuration.cancelHookLimit = hookLimit
    return try await withScheduler(configuration, register, body)
}

@discardableResult
func withScheduler<Result>(
    _ configuration: TaskScheduler.Configuration, _ register: (inout Registry) throws -> Void,
    _ body: (TaskScheduler) async throws -> Result
) async throws -> Result {
    let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration, register)
    let service = Task { try await scheduler.run() }
    do {
        try await eventually { scheduler.core.read { $0.phase != .idle } }
        let result = try await body(scheduler)
        scheduler.core.stop(immediately: false)
        try await service.value
        return result
    } catch {
        scheduler.core.stop(immediately: true)
        _ = await service.result
        throw error
    }
}

/// Makes a scheduler that does not run.
func idleScheduler(
    _ files: any FileSystem = SimulatedFileSystem(), _ register: (inout Registry) throws -> Void
) async throws -> TaskScheduler {
    try await TaskScheduler(storeAt: "/store", configuration: .simulated(files), register)
}

/// What handlers note down for a test.
final class Journal: Sendable {
    private let state = Mutex<[String: Int]>([:])

    func note(_ event: String) { state.withLock { $0[event, default: 0] += 1 } }
    func count(_ event: String) -> Int { state.withLock { $0[event, default: 0] } }
    var all: [String: Int] { state.withLock { $0 } }

    /// Waits until an event was noted this often.
    func wait(for event: String, count: Int = 1) async throws {
        while self.count(event) < count { try await Task.sleep(for: .milliseconds(1)) }
    }
}

/// In which order handlers came by.
final class Order: Sendable {
    private let state = Mutex<[Int]>([])

    func note(_ number: Int) { state.withLock { $0.append(number) } }
    var numbers: [Int] { state.withLock { $0 } }
}

extension StepHandler {
    /// Notes each execution's number; steps above 1000 fail.
    static func noting(in order: Order) -> StepHandler {
        StepHandler { step, _ in
            order.note(step.number)
            if step.number > 1000 { throw Trouble("no") }
            return Int64(step.number)
        }
    }
}

/// A door that handlers wait at until the test opens it.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Waits whatever happens to the Swift task.
    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    /// Waits until the gate opens or the Swift task is cancelled.
    func passOrThrow() async throws {
        while !state.withLock({ $0.isOpen }) { try await Task.sleep(for: .milliseconds(1)) }
    }
}

/// Waits until something is so; a test's time limit ends the wait.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(1)) }
}

/// A task whose behaviour the test chooses.
struct Step: DurableTask {
    static let type: TaskType = "test.step"
    var number: Int
    var children = 0

    struct Memo: FixedLayoutMemo, Equatable { var value: Int64 }
}

/// The parent of ``Step``s.
struct Plan: DurableTask {
    static let type: TaskType = "test.plan"
    var children: Int

    struct Memo: CodableMemo, Equatable {
        var sum: Int64 = 0
        var completed: UInt64 = 0
        var failures: UInt64 = 0
        var note = ""
    }
}

struct StepHandler: TaskHandler {
    var body: @Sendable (Step, TaskContext) async throws -> Int64 = { step, _ in Int64(step.number) }
    func execute(_ task: Step, in context: TaskContext) async throws -> Step.Memo {
        Step.Memo(value: try await body(task, context))
    }

    /// Notes each execution as "step".
    static func noting(in journal: Journal) -> StepHandler {
        StepHandler { _, _ in
            journal.note("step")
            return 1
        }
    }
}

/// Spawns as many steps as the plan says; adds up what they left.
struct PlanHandler: OrchestratorHandler {
    struct Handover: Codable, Sendable { var text: String }

    var onExecute: @Sendable (Plan, TaskContext) async throws -> Void = { plan, context in
        for number in 0..<plan.children { try context.spawnChild(Step(number: number)) }
    }
    var onFinalize: @Sendable (FinalizeContext) async throws -> Void = { _ in }

    func execute(_ task: Plan, in context: TaskContext) async throws -> Handover {
        try await onExecute(task, context)
        return Handover(text: "attempt \(context.attempt)")
    }

    func finalize(_ task: Plan, handover: Handover, in context: FinalizeContext) async throws -> Plan.Memo {
        try await onFinalize(context)
        var memo = Plan.Memo()
        for try await child in context.childMemos(of: Step.self) { memo.sum += child.value }
        memo.completed = context.counts.completed
        memo.failures = context.counts.failures
        memo.note = handover.text
        return memo
    }
}

struct Trouble: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Blocks the thread for a moment, as handlers that list files do.
func usleepBriefly() -> Int { Int(usleep(500)) }
