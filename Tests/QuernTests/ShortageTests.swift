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
}
