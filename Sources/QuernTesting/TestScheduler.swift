// SPDX-License-Identifier: Apache-2.0
import Logging
public import Quern
public import QuernStore
import SystemPackage

/// A scheduler for tests: its store is in memory, its clock stands still until it is moved, and it runs until there is
/// nothing left to do. So a test of a retry after an hour takes milliseconds, and ends the same way each time.
///
/// ```swift
/// let test = try await TestScheduler { $0.register(Mailer(), retry: .exponential(from: .seconds(60), attempts: 3)) }
/// let handle = try await test.scheduler.submit(Mail(to: "a@example.org"))
/// await test.runUntilIdle()                 // fails, and waits for its next attempt
/// await test.advance(by: .seconds(3600))    // the attempts that come due meanwhile
/// #expect(try await handle.outcome().kind == .completed)
/// try await test.stop()
/// ```
///
/// Tasks run one after the other, each committed before the next is chosen, so that the order is that of priorities and
/// of coming, and nothing else. A handler that waits for something that only the test does keeps ``runUntilIdle()``
/// waiting.
public final class TestScheduler: Sendable {
    /// The scheduler itself, to submit to and to look at.
    public let scheduler: TaskScheduler
    /// Its clock.
    public let clock: ManualClock
    /// Where its store is; pass it to another one, once this has stopped, to see what a restart finds.
    public let files: SimulatedFileSystem
    private let service: Task<Void, any Error>

    /// Makes a scheduler on a new store, or on that of `files`, and runs it.
    ///
    /// - Parameters:
    ///   - files: where the store is.
    ///   - now: the time at the start.
    ///   - configure: changes the configuration; `concurrency`, `clock` and `fileSystem` are the test's.
    ///   - register: says which handler runs which tasks.
    /// - Throws: as the initializer of `TaskScheduler`.
    public init(
        files: SimulatedFileSystem = SimulatedFileSystem(),
        now: Timestamp = Timestamp(milliseconds: 1_700_000_000_000),
        configure: (inout TaskScheduler.Configuration) -> Void = { _ in },
        _ register: (inout Registry) throws -> Void
    ) async throws {
        let clock = ManualClock(now: now)
        var configuration = TaskScheduler.Configuration()
        configuration.logger.logLevel = .critical
        configure(&configuration)
        configuration.clock = clock
        configuration.fileSystem = files
        configuration.isSequential = true
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration, register)
        self.scheduler = scheduler
        self.clock = clock
        self.files = files
        service = Task { try await scheduler.run() }
    }

    /// Returns when every task has ended or waits for a time, a handler or a pause to end.
    public func runUntilIdle() async { await scheduler.waitUntilIdle() }

    /// Moves the clock on, stopping at each time that something waits for, until idle at each.
    public func advance(by duration: Duration) async {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        await advance(to: Timestamp(milliseconds: clock.now.rawValue + milliseconds))
    }

    /// Moves the clock on to a time, as ``advance(by:)``.
    public func advance(to time: Timestamp) async {
        await runUntilIdle()
        while let due = scheduler.nextDue, due <= time {
            if due > clock.now { clock.set(due) }
            await runUntilIdle()
        }
        if time > clock.now { clock.set(time) }
        await runUntilIdle()
    }

    /// Stops the scheduler in order, and closes its store.
    ///
    /// - Throws: what `run()` throws.
    public func stop() async throws {
        scheduler.triggerGracefulShutdown()
        try await service.value
    }
}
