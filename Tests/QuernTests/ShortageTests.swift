// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("A process that is short of descriptors (S4)")
struct ShortageTests {
    @Test("S4: payloads that cannot be read for want of a descriptor are read when there is one, and nothing ends")
    func payloads() async throws {
        let files = SimulatedFileSystem()
        let first = try await idleScheduler(files) { $0.register(StepHandler()) }
        let id = try await first.submit(Step(number: 7)).id
        let reopened = files.crash(keeping: .keepAll)
        let second = try await idleScheduler(reopened) { $0.register(StepHandler()) }
        reopened.faults.fail(.open, at: 1, with: .tooManyOpenFiles, .fromThenOn, in: "log-")
        let service = Task { try await second.run() }
        try await eventually { second.core.read { $0.dispatcher.isStalled || $0.failure != nil } }
        #expect(second.core.read { $0.failure } == nil)
        reopened.faults = FaultPlan()
        #expect(try await second.handle(for: id, of: Step.self).memo().value == 7)
        second.triggerGracefulShutdown()
        try await service.value
    }

    @Test("S4, T10: a cancel hook for which there is no descriptor is called when there is one, before the task ends")
    func cancelHooks() async throws {
        let files = SimulatedFileSystem()
        let journal = Journal()
        let first = try await idleScheduler(files) { $0.register(HookedStepHandler(journal: journal)) }
        let id = try await first.submit(Step(number: 7)).id
        let reopened = files.crash(keeping: .keepAll)
        let second = try await idleScheduler(reopened) { $0.register(HookedStepHandler(journal: journal)) }
        try await second.cancel(id)
        reopened.faults.fail(.open, at: 1, with: .tooManyOpenFiles, .fromThenOn, in: "log-")
        let service = Task { try await second.run() }
        try await eventually { second.core.read { $0.dispatcher.isStalled || $0.failure != nil } }
        #expect(second.core.read { $0.failure } == nil)
        #expect(second.core.store.isLive(id) && journal.all.isEmpty)
        reopened.faults = FaultPlan()
        try await eventually { !second.core.store.isLive(id) }
        #expect(journal.all == ["hook 7": 1])
        second.triggerGracefulShutdown()
        try await service.value
    }
}

/// Notes for which of its tasks the cancel hook is called.
private struct HookedStepHandler: TaskHandler, CancelHandling {
    let journal: Journal

    func execute(_ task: Step, in context: TaskContext) async throws -> Step.Memo { Step.Memo(value: 1) }

    func cancelled(_ task: Step, id: TaskID) async throws { journal.note("hook \(task.number)") }
}
