// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernTesting
import Synchronization
import SystemPackage

/// One engine's turn of ``EndToEndWork``, in a process that did nothing before it, for the sake of its memory.
struct EndToEnd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end-to-end", abstract: "Run children from end to end once and print what it took.",
        shouldDisplay: false)

    @Argument var engine: EngineName
    @Argument var children: Int

    func run() async throws {
        let directory = try TemporaryDirectory()
        let result: Result
        switch engine {
        case .quern: result = try await scheduled(directory.path)
        default:
            let file = directory.path.appending("tasks.sqlite")
            let run =
                switch engine {
                case .grdb: try GRDBScheduler(file).run(children: children)
                case .sqliteBest: try NaiveScheduler(file, .best).run(children: children)
                default: try NaiveScheduler(file, .tasks).run(children: children)
                }
            result = Result(
                seconds: run.duration.inSeconds, finalizing: run.finalizing.inSeconds, peak: ProcessMemory.peak,
                limit: 0, sum: run.sum)
        }
        try verify(result.sum, UInt64(children), engine.rawValue, "sum of memos")
        print(result.seconds, result.finalizing, result.peak, result.limit)
    }

    struct Result {
        var seconds: Double
        var finalizing: Double
        var peak: Int
        /// Seconds that the same writes and syncs take by themselves; zero for unknown.
        var limit: Double
        var sum: UInt64
    }

    private func scheduled(_ directory: FilePath) async throws -> Result {
        let fileSystem = TracingFileSystem()
        var configuration = TaskScheduler.Configuration()
        configuration.fileSystem = fileSystem
        let finalizing = Mutex(Duration.zero)
        let scheduler = try await TaskScheduler(
            storeAt: directory.appending("store"), configuration: configuration
        ) {
            $0.register(NoOperation())
            $0.register(FanOut(whenFinalized: { duration in finalizing.withLock { $0 = duration } }))
        }
        async let service: Void = scheduler.run()
        fileSystem.takeTrace()
        var sum: UInt64 = 0
        let start = ContinuousClock.now
        sum = try await scheduler.submit(FanOut.Work(children: children)).memo().sum
        let duration = ContinuousClock.now - start
        let peak = ProcessMemory.peak
        let trace = fileSystem.takeTrace()
        scheduler.triggerGracefulShutdown()
        try await service
        return Result(
            seconds: duration.inSeconds, finalizing: finalizing.withLock { $0.inSeconds }, peak: peak,
            limit: try trace.replay().inSeconds, sum: sum)
    }
}
