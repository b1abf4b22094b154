// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Failure budget: between fail-fast and tolerate (T12a)", .timeLimit(.minutes(15)))
struct FailureBudgetTests {
    private func counts(completed: UInt64 = 0, failed: UInt64, cancelled: UInt64 = 0) -> OutcomeCounts {
        var counts = OutcomeCounts()
        counts.completed = completed
        counts.failed = failed
        counts.cancelled = cancelled
        return counts
    }

    @Test("A count is borne, and one more is not")
    func count() {
        let policy = ChildFailurePolicy.budget(count: 3)
        #expect(!policy.isFailed(counts(failed: 3), liveChildren: 0))
        #expect(policy.isFailed(counts(failed: 4), liveChildren: 1000))
        #expect(ChildFailurePolicy.budget(count: 0).isFailed(counts(failed: 1), liveChildren: 9))
        #expect(!ChildFailurePolicy.budget(count: 0).isFailed(counts(completed: 4, failed: 0), liveChildren: 9))
    }

    @Test("A share counts against all known children, once there are enough, and not against cancelled ones")
    func share() {
        let policy = ChildFailurePolicy.budget(share: 0.1, minimum: 20)
        #expect(!policy.isFailed(counts(failed: 10), liveChildren: 90))
        #expect(policy.isFailed(counts(failed: 11), liveChildren: 89))
        #expect(!policy.isFailed(counts(failed: 5), liveChildren: 10))
        #expect(!policy.isFailed(counts(completed: 3, failed: 16), liveChildren: 0))
        #expect(policy.isFailed(counts(completed: 89, failed: 11, cancelled: 500), liveChildren: 0))
        // The others are cancelled for it: it stays so.
        #expect(policy.isFailed(counts(failed: 11, cancelled: 89), liveChildren: 9))
        #expect(ChildFailurePolicy.budget(share: 0).isFailed(counts(completed: 9, failed: 1), liveChildren: 0))
        #expect(!ChildFailurePolicy.budget(share: 1).isFailed(counts(failed: 9), liveChildren: 0))
    }

    @Test(
        "A plan ends as its budget says, the same after a crash at any of its steps",
        arguments: [(4, false), (5, true)], [false, true])
    func plan(faulty: (count: Int, fails: Bool), byShare: Bool) async throws {
        let policy = byShare ? ChildFailurePolicy.budget(share: 0.1, minimum: 10) : .budget(count: 4)
        let faults = Faults(Set((0..<faulty.count).map { $0 * 3 }))
        let journal = Journal()
        func make(_ files: SimulatedFileSystem) async throws -> TestScheduler {
            try await TestScheduler(files: files) {
                $0.register(
                    StepHandler { step, _ in
                        journal.note("step")
                        try faults.check(step.number)
                        return 1
                    })
                $0.register(PlanHandler(), onChildFailure: policy)
            }
        }
        let first = try await make(SimulatedFileSystem())
        let id = try await first.scheduler.submit(Plan(children: 40)).id
        var crashed: SimulatedFileSystem?
        let files = first.files
        try await first.scheduler.pause(.type(Step.type))
        await first.runUntilIdle()
        // Some steps, then a crash.
        try first.scheduler.setRate(RateLimit(7, per: .seconds(1)), for: .type(Step.type))
        try await first.scheduler.resume(.type(Step.type))
        await first.runUntilIdle()
        crashed = files.crash(keeping: .dropAll)
        try await first.stop()
        let second = try await make(try #require(crashed))
        await second.runUntilIdle()
        let outcome = try await second.scheduler.handle(for: id, of: Plan.self).outcome()
        #expect(outcome.kind == (faulty.fails ? .failed : .completed))
        if faulty.fails, case .failure(.ended(_, let failure)) = outcome.result {
            #expect(failure.reason == "failure budget exceeded")
            #expect(failure.detail.hasPrefix("5 of 40 children failed, the first of them task"))
            #expect(try second.scheduler.core.store.children(of: id).counts.cancelled > 0)
        }
        try await second.stop()
    }

    /// A scheduler for plans of a hundred steps, of which those fail that `faults` says.
    private func make(
        _ faults: Faults, share: Double, files: SimulatedFileSystem = SimulatedFileSystem()
    ) async throws -> TestScheduler {
        try await TestScheduler(files: files) {
            $0.register(
                StepHandler { step, _ in
                    try faults.check(step.number)
                    return 1
                })
            $0.register(PlanHandler(), onChildFailure: .budget(share: share))
        }
    }

    @Test("A redriven tree is judged by all of its children, those that it keeps too, whatever crashes (T12a)")
    func redriven() async throws {
        let faults = Faults([1, 2, 3])
        var test = try await make(faults, share: 0.03)
        var id = try await test.scheduler.submit(Plan(children: 100)).id
        await test.runUntilIdle()
        #expect(try await test.scheduler.handle(for: id, of: Plan.self).memo().failures == 3)
        // Two of three that run again, and then one of two.
        for failures in [2, 1] {
            faults.set(Set(1...failures))
            try await test.scheduler.pause(.type(Step.type))
            id = try await test.scheduler.redrive(id)
            await test.runUntilIdle()
            let files = test.files.crash(keeping: .dropAll)
            try await test.stop()
            test = try await make(faults, share: 0.03, files: files)
            try await test.scheduler.resume(.type(Step.type))
            await test.runUntilIdle()
            let outcome = try await test.scheduler.handle(for: id, of: Plan.self).outcome()
            #expect(outcome.kind == .completed, "\(failures) of 100")
            #expect(try outcome.result.get().completed == 100 - UInt64(failures))
            #expect(test.scheduler.core.read { $0.dispatcher.keptChildren.isEmpty })
        }
        try await test.stop()
    }

    @Test("A redriven tree that exceeds its budget again says of how many children, and the last redrive may succeed")
    func redrivenInVain() async throws {
        let faults = Faults([90, 91, 92])
        let test = try await make(faults, share: 0.02)
        var id = try await test.scheduler.submit(Plan(children: 100)).id
        for failing in [[90, 91, 92], [91, 92]] {
            await test.runUntilIdle()
            let outcome = try await test.scheduler.handle(for: id, of: Plan.self).outcome()
            guard case .failure(.ended(.failed, let failure)) = outcome.result else { throw Trouble("\(outcome)") }
            #expect(failure.reason == "failure budget exceeded")
            #expect(failure.detail.hasPrefix("3 of 100 children failed"))
            faults.set(Set(failing))
            id = try await test.scheduler.redrive(id)
        }
        #expect(try await test.scheduler.handle(for: id, of: Plan.self).memo().completed == 98)
        try await test.stop()
    }
}
