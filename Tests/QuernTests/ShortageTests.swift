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

    /// The log cannot be read for the moment, and only what was written last is in memory.
    private static func failReads(_ files: SimulatedFileSystem, _ store: MemoStore) async throws {
        var transaction = Transaction()
        transaction.spawn(under: .none, label: try await store.label(for: "nobody's"), at: .init(milliseconds: 0)) {
            _ in
        }
        try await store.append(transaction)
        files.faults.fail(.read, at: 1, with: .noSpace, .fromThenOn, in: "log-")
    }

    private static func configuration(_ files: SimulatedFileSystem, _ clock: ManualClock) -> TaskScheduler.Configuration
    {
        var configuration = TaskScheduler.Configuration.simulated(files, clock: clock, concurrency: 1)
        // Payloads are read from the log.
        configuration.store.payloadCacheBytes = 0
        return configuration
    }

    /// Waits until nothing is given out, sees that the task has not ended, and lets it go on.
    private static func mend(
        _ files: SimulatedFileSystem, _ clock: ManualClock, _ scheduler: TaskScheduler, _ id: TaskID
    )
        async throws
    {
        try await eventually {
            scheduler.core.read { $0.dispatcher.isStalled || $0.failure != nil } || !scheduler.core.store.isLive(id)
        }
        #expect(scheduler.core.read { $0.failure } == nil)
        #expect(scheduler.core.store.isLive(id))
        files.faults = FaultPlan()
        clock.advance(by: 600)
        try await eventually { !scheduler.core.store.isLive(id) }
    }

    @Test(
        "S4, T15: a task that fails for good while what it leaves cannot be read is tried again, and can be resubmitted"
    )
    func remainsOfFailed() async throws {
        let (files, clock, journal) = (SimulatedFileSystem(), ManualClock(), Journal())
        try await withScheduler(Self.configuration(files, clock)) {
            $0.register(
                StepHandler { _, context in
                    journal.note("tried")
                    if journal.count("tried") == 1 { try await Self.failReads(files, context.core.store) }
                    throw PermanentError(reason: "for good")
                })
        } _: { scheduler in
            let handle = try await scheduler.submit(Step(number: 7))
            try await Self.mend(files, clock, scheduler, handle.id)
            #expect(journal.count("tried") == 2)
            let outcome = try await handle.outcome()
            #expect(outcome.kind == .failed && outcome.attempts == 1)
            #expect(try await scheduler.resubmit(handle.id) > handle.id)
        }
    }

    @Test("S4, T10: a task whose time is over while what it leaves cannot be read ends later, and can be resubmitted")
    func remainsOfExpired() async throws {
        let (files, clock) = (SimulatedFileSystem(), ManualClock())
        try await withScheduler(Self.configuration(files, clock)) {
            $0.register(StepHandler())
        } _: { scheduler in
            try await scheduler.pause(.everything)
            var options = TaskOptions()
            options.timeToLive = TimeToLive(.seconds(1))
            let handle = try await scheduler.submit(Step(number: 7), options: options)
            try await Self.failReads(files, scheduler.core.store)
            clock.advance(by: 2000)
            try await Self.mend(files, clock, scheduler, handle.id)
            #expect(try await handle.outcome().kind == .expired)
            #expect(try await scheduler.resubmit(handle.id) > handle.id)
        }
    }

    @Test(
        "S4, T12a: a parent that ends while what it leaves cannot be read ends when it can, and can be redriven",
        arguments: [true, false])
    func remainsOfParent(fails: Bool) async throws {
        let (files, clock, journal) = (SimulatedFileSystem(), ManualClock(), Journal())
        try await withScheduler(Self.configuration(files, clock)) {
            $0.register(StepHandler { _, _ in throw PermanentError(reason: "for good") })
            $0.register(
                PlanHandler(onFinalize: { context in
                    journal.note("finalize")
                    if journal.count("finalize") == 1 { try await Self.failReads(files, context.core.store) }
                    if fails { throw PermanentError(reason: "for good") }
                }), onChildFailure: .tolerate)
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 2))
            try await Self.mend(files, clock, scheduler, handle.id)
            #expect(journal.count("finalize") == 2)
            #expect(try await handle.outcome().kind == (fails ? .failed : .completed))
            #expect(try await scheduler.redrive(handle.id) > handle.id)
        }
    }

    @Test("T15: what another store lacks, which a handler uses, is a failed attempt, and holds up nobody")
    func otherStores() async throws {
        let (files, others) = (SimulatedFileSystem(), SimulatedFileSystem())
        let other = try await MemoStore.open(at: "/other", fileSystem: others)
        others.faults.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "log-")
        try await withScheduler(Self.configuration(files, ManualClock())) {
            $0.register(
                StepHandler { _, _ in Int64(try await other.label(for: "a").rawValue) },
                retry: .constant(.zero, attempts: 2))
        } _: { scheduler in
            let outcome = try await scheduler.submit(Step(number: 7)).outcome()
            #expect(outcome.kind.isFailure && outcome.attempts == 2)
            #expect(!scheduler.core.read { $0.hasReportedStall })
        }
        try await other.close()
    }

    @Test("S4, T4: a finalize that cannot read its children for want of address space is called again, uncounted")
    func childrenOfFinalize() async throws {
        let (files, clock, journal) = (SimulatedFileSystem(), ManualClock(), Journal())
        var configuration = Self.configuration(files, clock)
        // Outcomes are written to the index at once.
        configuration.store.openBlockBytes = 1
        try await withScheduler(configuration) {
            $0.register(StepHandler())
            $0.register(
                PlanHandler(onFinalize: { context in
                    journal.note("finalize")
                    #expect(context.attempt == 1)
                    if journal.count("finalize") == 1 {
                        files.faults.fail(.map, at: 1, with: .noMemory, .fromThenOn, in: "index-")
                    }
                }))
        } _: { scheduler in
            let handle = try await scheduler.submit(Plan(children: 2))
            try await Self.mend(files, clock, scheduler, handle.id)
            #expect(journal.count("finalize") == 2)
            let outcome = try await handle.outcome()
            #expect(outcome.kind == .completed && outcome.attempts == 1)
        }
    }

    @Test("S4: a handle that cannot be answered for want of address space is when it is asked again")
    func handles() async throws {
        let (files, clock) = (SimulatedFileSystem(), ManualClock())
        try await withScheduler(Self.configuration(files, clock)) {
            $0.register(StepHandler())
        } _: { scheduler in
            let id = try await scheduler.submit(Step(number: 7)).id
            try await eventually { !scheduler.core.store.isLive(id) }
            _ = try await scheduler.core.store.compact()
            let handle = scheduler.handle(for: id, of: Step.self)
            files.faults.fail(.map, at: 1, with: .noMemory, .fromThenOn, in: "index-")
            let error = await #expect(throws: SchedulerError.self) { try await handle.memo() }
            #expect(error?.cause?.isTransient == true)
            files.faults = FaultPlan()
            #expect(try await handle.memo().value == 7)
        }
    }

    @Test("S4, T16: how a dependency ended is looked up again when there is address space for it")
    func dependencies() async throws {
        let (files, clock) = (SimulatedFileSystem(), ManualClock())
        try await withScheduler(Self.configuration(files, clock)) {
            $0.register(StepHandler())
        } _: { scheduler in
            let first = try await scheduler.submit(Step(number: 1))
            _ = try await first.memo()
            _ = try await scheduler.core.store.compact()
            files.faults.fail(.map, at: 1, with: .noMemory, .fromThenOn, in: "index-")
            let options = TaskOptions(dependencies: [TaskDependency(first.id)])
            let handle = try await scheduler.submit(Step(number: 7), options: options)
            try await Self.mend(files, clock, scheduler, handle.id)
            #expect(try await handle.memo().value == 7)
        }
    }
}

/// Notes for which of its tasks the cancel hook is called.
private struct HookedStepHandler: TaskHandler, CancelHandling {
    let journal: Journal

    func execute(_ task: Step, in context: TaskContext) async throws -> Step.Memo { Step.Memo(value: 1) }

    func cancelled(_ task: Step, id: TaskID) async throws { journal.note("hook \(task.number)") }
}
