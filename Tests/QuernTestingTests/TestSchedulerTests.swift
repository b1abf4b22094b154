// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore
import QuernTesting
import Synchronization
import Testing

@Suite("TestScheduler: time that stands still, and runs until nothing is left to do", .timeLimit(.minutes(15)))
struct TestSchedulerTests {
    private struct Errand: DurableTask {
        static let type: TaskType = "test.errand"
        var name: String
        struct Memo: CodableMemo, Equatable { var attempts: UInt32 }
    }

    private final class Diary: Sendable {
        private let state = Mutex<[String]>([])
        func note(_ line: String) { state.withLock { $0.append(line) } }
        var lines: [String] { state.withLock { $0 } }
    }

    private struct Stubborn: TaskHandler {
        struct NotYet: Error {}
        let diary: Diary
        var failures: UInt32 = 2

        func execute(_ task: Errand, in context: TaskContext) async throws -> Errand.Memo {
            diary.note("\(task.name) \(context.attempt) at \(context.now.rawValue)")
            if context.attempt <= failures { throw NotYet() }
            return Errand.Memo(attempts: context.attempt)
        }
    }

    @Test("T15: an hour of retries takes no time, and ends the same way each time")
    func retries() async throws {
        var seen: [[String]] = []
        for _ in 0..<5 {
            let diary = Diary()
            let test = try await TestScheduler(now: Timestamp(milliseconds: 1000)) {
                $0.register(
                    Stubborn(diary: diary),
                    retry: .constant(.seconds(1200), attempts: 5))
            }
            var handles: [TaskHandle<Errand>] = []
            for name in ["a", "b", "c"] { handles.append(try await test.scheduler.submit(Errand(name: name))) }
            await test.runUntilIdle()
            #expect(test.scheduler.statistics.delayed == 3)
            await test.advance(by: .seconds(3600))
            for handle in handles { #expect(try await handle.memo() == Errand.Memo(attempts: 3)) }
            #expect(test.clock.now == Timestamp(milliseconds: 3_601_000))
            try await test.stop()
            seen.append(diary.lines)
        }
        #expect(seen[0].count == 9)
        #expect(seen[0].prefix(3) == ["a 1 at 1000", "b 1 at 1000", "c 1 at 1000"])
        #expect(Set(seen).count == 1)
    }

    @Test("T3: a restart on the same files goes on where the last one stopped")
    func restart() async throws {
        let diary = Diary()
        let first = try await TestScheduler {
            $0.register(Stubborn(diary: diary, failures: 1), retry: .constant(.seconds(60), attempts: 2))
        }
        let id = try await first.scheduler.submit(Errand(name: "long")).id
        await first.runUntilIdle()
        try await first.stop()

        let second = try await TestScheduler(files: first.files, now: first.clock.now) {
            $0.register(Stubborn(diary: diary, failures: 1), retry: .constant(.seconds(60), attempts: 2))
        }
        await second.runUntilIdle()
        #expect(diary.lines.count == 1)
        await second.advance(by: .seconds(60))
        #expect(try await second.scheduler.handle(for: id, of: Errand.self).memo() == Errand.Memo(attempts: 2))
        try await second.stop()
    }
}
