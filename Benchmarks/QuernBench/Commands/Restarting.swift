// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import Synchronization
import SystemPackage

/// Runs children from end to end and dies on the way: the first part of a turn of ``RestartWork``.
struct Dying: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dying", abstract: "Run children and die by SIGKILL on the way.", shouldDisplay: false)

    @Argument var path: String
    @Argument var children: Int
    @Flag(help: "Die when all have ended, in finalize; else when half of them have run.") var finalizing = false

    func run() async throws {
        let half = Countdown(finalizing ? .max : children / 2) { OwnProcess.die() }
        let scheduler = try await TaskScheduler(storeAt: FilePath(path)) {
            $0.register(CountedOperation(countdown: half))
            $0.register(FanOut(whenFinalizing: { OwnProcess.die() }))
        }
        async let service: Void = scheduler.run()
        _ = try await scheduler.submit(FanOut.Work(children: children))
        try await service
    }
}

/// Goes on in a process that did nothing before it, until the first handler is called: the other part.
struct Restarting: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restarting", abstract: "Open a scheduler's store and print milliseconds to the first call.",
        shouldDisplay: false)

    @Argument var path: String

    func run() async throws {
        let start = ContinuousClock.now
        let called: @Sendable () -> Void = {
            print((ContinuousClock.now - start).inSeconds * 1000, ProcessMemory.peak)
            OwnProcess.die()
        }
        let scheduler = try await TaskScheduler(storeAt: FilePath(path)) {
            $0.register(CountedOperation(countdown: Countdown(1, called)))
            $0.register(FanOut(whenFinalizing: called))
        }
        try await scheduler.run()
    }
}

/// Does something once, the Nth time.
private final class Countdown: Sendable {
    private let left: Atomic<Int>
    private let body: @Sendable () -> Void

    init(_ count: Int, _ body: @escaping @Sendable () -> Void) {
        left = Atomic(count)
        self.body = body
    }

    func count() { if left.subtract(1, ordering: .relaxed).newValue == 0 { body() } }
}

private struct CountedOperation: TaskHandler {
    let countdown: Countdown

    func execute(_ task: NoOperation.Work, in context: TaskContext) async throws -> NoOperation.Work.Memo {
        countdown.count()
        return NoOperation.Work.Memo(discovered: 1, skipped: 0, deleted: 0)
    }
}
