// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

@Suite("Ticks whose commit takes its time", .timeLimit(.minutes(20)))
final class TickCommitTests: Sendable {
    private let files = HeldLog()
    private let clock = ManualClock()
    private let ticks = Mutex<[Int64]>([])

    /// Runs a scheduler whose tasks note what they were spawned for.
    private func withTicks(_ body: (TaskScheduler) async throws -> Void) async throws {
        try await withScheduler(files, clock: clock) {
            $0.register(
                StepHandler { [self] _, context in
                    ticks.withLock { $0.append(context.scheduledFor?.rawValue ?? -1) }
                    return 1
                })
        } _: {
            try await body($0)
        }
    }

    /// Moves the clock while nothing can be written, until all has been taken that is due.
    private func advance(_ scheduler: TaskScheduler, by milliseconds: Int64) async throws {
        clock.advance(by: milliseconds)
        let now = clock.now
        try await eventually { files.isWaiting && scheduler.core.read { $0.nextTick.map { $0 > now } ?? true } }
    }

    private func advance(byStepsOf milliseconds: Int64, _ count: Int, _ scheduler: TaskScheduler) async {
        for _ in 0..<count {
            clock.advance(by: milliseconds)
            await scheduler.waitUntilIdle()
        }
    }

    @Test("T16: of many missed ticks that find no space none is lost or counted twice")
    func noSpace() async throws {
        try await withTicks { scheduler in
            try await scheduler.schedule(
                "s", Step(number: 1), .every(.seconds(1)), missed: .all, overlaps: true, limit: 1500)
            await scheduler.waitUntilIdle()
            files.hold()
            try await advance(scheduler, by: 1_000_000)
            files.base.faults.fail(.write, at: 1, with: .noSpace, .fromThenOn, in: "log-")
            files.release()
            await scheduler.waitUntilIdle()
            #expect(scheduler.schedules.map(\.spawned) == [0])
            files.base.faults = FaultPlan()
            await advance(byStepsOf: 1000, 1, scheduler)
            #expect(ticks.withLock { $0.sorted() } == (1...1001).map { $0 * 1000 })
            #expect(scheduler.schedules.map(\.spawned) == [1001])
        }
    }

    @Test("T16: a tick that comes while an earlier one is being stored does not use up the limit")
    func limit() async throws {
        try await withTicks { scheduler in
            try await scheduler.schedule("s", Step(number: 1), .every(.seconds(60)), limit: 2)
            await scheduler.waitUntilIdle()
            files.hold()
            try await advance(scheduler, by: 60_000)
            try await advance(scheduler, by: 60_000)
            files.release()
            await scheduler.waitUntilIdle()
            await advance(byStepsOf: 60_000, 3, scheduler)
            #expect(ticks.withLock { $0.count } == 2)
            #expect(scheduler.schedules.map(\.spawned) == [2])
        }
    }
}
