// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernTesting
import SystemPackage

/// `quern-bench tasks`: children from end to end.
struct Tasks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run no-op children of one parent from its execute to the end of its finalize, synced.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(parsing: .upToNextOption, help: "Children in all; a figure for each.")
    var children = [10_000, 100_000, 1_000_000]
    @Option(help: "Handlers at a time.") var concurrency = 4

    func validate() throws {
        guard children.allSatisfy({ $0 > 0 }), concurrency > 0 else {
            throw ValidationError("children and handlers at a time are at least 1")
        }
    }

    func run() async throws {
        var report = Report(
            "tasks", "children of one parent spawned, run (no-op, 24-byte memos), committed synced and added up")
        for children in children {
            var rates: [Double] = []
            var limits: [Double] = []
            for _ in 0..<measuring.repetitions {
                let (duration, trace) = try await measure(children)
                rates.append(Double(children) / duration.inSeconds)
                limits.append(Double(children) / (try trace.replay().inSeconds))
            }
            report.add(
                Figure(
                    "\(children.text) children", "children/s", rates, .moreIsBetter,
                    limit: .init(name: "write+fdatasync", value: limits.median)))
        }
        report.print(asJSON: measuring.json)
    }

    /// From the submission of the parent to its memo.
    private func measure(_ children: Int) async throws -> (Duration, WriteTrace) {
        let directory = try TemporaryDirectory()
        let fileSystem = TracingFileSystem(synchronizes: true)
        var configuration = TaskScheduler.Configuration()
        configuration.concurrency = concurrency
        configuration.fileSystem = fileSystem
        let scheduler = try await TaskScheduler(
            storeAt: directory.path.appending("store"), configuration: configuration
        ) {
            $0.register(NoOperation())
            $0.register(FanOut())
        }
        async let service: Void = scheduler.run()
        fileSystem.takeTrace()
        let duration = try await timedAsynchronously {
            let memo = try await scheduler.submit(FanOut.Work(children: children)).memo()
            guard memo.sum == UInt64(children) else { throw WrongSum(sum: memo.sum) }
        }
        let trace = fileSystem.takeTrace()
        scheduler.triggerGracefulShutdown()
        try await service
        return (duration, trace)
    }

    private struct WrongSum: Error { var sum: UInt64 }
}

/// Leaves a memo and does nothing else.
private struct NoOperation: TaskHandler {
    struct Work: DurableTask {
        static let type: TaskType = "benchmark.no-op"
        var number: UInt32

        struct Memo: FixedLayoutMemo { var discovered, skipped, deleted: UInt64 }
    }

    func execute(_ task: Work, in context: TaskContext) async throws -> Work.Memo {
        Work.Memo(discovered: 1, skipped: UInt64(task.number % 50), deleted: 0)
    }
}

/// Spawns the others and adds up what they left.
private struct FanOut: OrchestratorHandler {
    struct Work: DurableTask {
        static let type: TaskType = "benchmark.fan-out"
        var children: Int

        struct Memo: FixedLayoutMemo { var sum: UInt64 }
    }

    func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
        for number in 0..<task.children { try context.spawnChild(NoOperation.Work(number: UInt32(number))) }
        return NoHandover()
    }

    func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> Work.Memo {
        try context.reduceMemos(of: NoOperation.Work.self, into: Work.Memo(sum: 0)) { $0.sum += $1.discovered }
    }
}
