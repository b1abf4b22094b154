// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Synchronization
import Testing

private final class WakeLog: Sendable {
    let woken = Mutex<[Int64]>([])
}

@Suite struct ManualClockTests {
    let clock = ManualClock(now: Timestamp(milliseconds: 100))

    func time(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func itStandsStillUntilItIsMoved() {
        #expect(clock.now == time(100))
        clock.advance(by: 50)
        #expect(clock.now == time(150))
        clock.set(time(20))
        #expect(clock.now == time(20))
    }

    @Test func sleepersWakeWhenTheirTimeHasCome() async throws {
        let log = WakeLog()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for deadline in [300, 200, 400] as [Int64] {
                group.addTask { [clock] in
                    try await clock.sleep(until: Timestamp(milliseconds: deadline))
                    log.woken.withLock { $0.append(deadline) }
                }
            }
            await clock.waitForSleepers(3)
            #expect(clock.nextDeadline == time(200))
            clock.advance(by: 99)
            #expect(clock.sleepers == 3)
            clock.advance(by: 1)
            try await group.next()
            #expect(log.woken.withLock { $0 } == [200])
            #expect(clock.sleepers == 2)
            clock.set(time(400))
            #expect(clock.sleepers == 0)
            try await group.waitForAll()
        }
        #expect(Set(log.woken.withLock { $0 }) == [200, 300, 400])
    }

    @Test func aPastDeadlineDoesNotSleep() async throws {
        try await clock.sleep(until: time(100))
        try await clock.sleep(until: time(0))
    }

    @Test func aCancelledSleeperWakes() async throws {
        let sleeper = Task { [clock] in try await clock.sleep(until: Timestamp(milliseconds: 1_000)) }
        await clock.waitForSleepers(1)
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        #expect(clock.sleepers == 0)
        #expect(clock.nextDeadline == nil)
    }

    @Test func cancellingAtAnyMomentEndsTheSleep() async throws {
        for _ in 0..<300 {
            let sleeper = Task { [clock] in try await clock.sleep(until: Timestamp(milliseconds: 1_000)) }
            sleeper.cancel()
            await #expect(throws: CancellationError.self) { try await sleeper.value }
        }
        #expect(clock.sleepers == 0)
    }
}
