// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import Testing

@testable import Quern
@testable import QuernStore

/// What waits for space and is overtaken by what found some.
@Suite("Attempts that found no space (S4, T15)")
struct StalledAttemptTests {
    private struct Failed: Error {}

    /// A scheduler for handlers that are made before it.
    private final class Running: Sendable {
        private let state = Mutex<TaskScheduler?>(nil)
        var isStalled: Bool { state.withLock { $0?.core.read { $0.dispatcher.isStalled } ?? false } }
        func set(_ scheduler: TaskScheduler) { state.withLock { $0 = scheduler } }
    }

    /// Moves the clock until a task was begun again: what waits for space may be quicker than it to find none.
    private static func advance(_ clock: ManualClock, until journal: Journal) async throws {
        try await eventually {
            if journal.count("second") == 0 { clock.advance(by: 61_000) }
            return journal.count("second") > 0
        }
    }

    @Test("S4: an attempt that finds space when a later one has ended its task is left out, and the scheduler goes on")
    func overtakenByOutcome() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock()
        let scheduler = Running()
        let journal = Journal()
        try await withScheduler(files, clock: clock) {
            $0.register(
                StepHandler { step, context in
                    if step.number == 7, context.attempt == 1 {
                        files.faults.capacity = files.usedBytes
                        throw Failed()
                    }
                    if step.number > 7 { return 1 }
                    // The first attempt has been tried to store again, and there is no space yet.
                    journal.note("second")
                    try await eventually { scheduler.isStalled }
                    files.faults.capacity = nil
                    return Int64(step.number)
                }, retry: .constant(.milliseconds(1), attempts: 3))
        } _: { running in
            scheduler.set(running)
            let handle = try await running.submit(Step(number: 7))
            try await eventually { running.core.read { $0.dispatcher.isStalled } }
            try await Self.advance(clock, until: journal)
            let outcome = try await handle.outcome()
            #expect(outcome.kind == .completed && outcome.attempts == 2)
            clock.advance(by: 1000)
            try await eventually { running.core.read { $0.dispatcher.uncommittedTransactions == 0 } }
            #expect(running.core.read { $0.failure } == nil)
            #expect(try await running.submit(Step(number: 8)).id > handle.id)
        }
    }

    @Test("S4: one that finds space when a later one is stored does not take the later one's place")
    func overtakenByAttempt() async throws {
        let files = SimulatedFileSystem()
        let clock = ManualClock()
        let scheduler = Running()
        let journal = Journal()
        try await withScheduler(files, clock: clock) {
            $0.register(
                StepHandler { _, context in
                    if context.attempt == 1 { files.faults.capacity = files.usedBytes }
                    if context.attempt == 2 {
                        journal.note("second")
                        try await eventually { scheduler.isStalled }
                        files.faults.capacity = nil
                    }
                    throw Failed()
                }, retry: .constant(.seconds(60), attempts: 50))
        } _: { running in
            scheduler.set(running)
            let handle = try await running.submit(Step(number: 7))
            try await eventually { running.core.read { $0.dispatcher.isStalled } }
            try await Self.advance(clock, until: journal)
            let store = running.core.store
            try await eventually { store.detail(of: handle.id)?.attempts ?? 0 >= 2 }
            clock.advance(by: 600)
            try await eventually { running.core.read { $0.dispatcher.uncommittedTransactions == 0 } }
            #expect(store.detail(of: handle.id)?.attempts ?? 0 >= 2)
        }
    }
}
