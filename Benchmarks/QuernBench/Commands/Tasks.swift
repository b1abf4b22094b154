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
    @Option(
        parsing: .upToNextOption,
        help: "What the children have: \(FanOut.Shape.allCases.map(\.rawValue).joined(separator: ", ")).")
    var shapes = [FanOut.Shape.plain]
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
            var rates = Array(repeating: [Double](), count: shapes.count)
            var limits = rates
            // In turn, so that a machine that slows down slows all of them down.
            for _ in 0..<measuring.repetitions {
                for (index, shape) in shapes.enumerated() {
                    let (duration, trace) = try await measure(children, shape)
                    rates[index].append(Double(children) / duration.inSeconds)
                    limits[index].append(Double(children) / (try trace.replay().inSeconds))
                }
            }
            for (index, shape) in shapes.enumerated() {
                let name = "\(children.text) children" + (shape == .plain ? "" : ", " + shape.title)
                report.add(
                    Figure(
                        name, "children/s", rates[index], .moreIsBetter,
                        limit: .init(name: "write+fdatasync", value: limits[index].median)))
            }
        }
        report.print(asJSON: measuring.json)
    }

    /// From the submission of the parent to its memo.
    private func measure(_ children: Int, _ shape: FanOut.Shape) async throws -> (Duration, WriteTrace) {
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
            let memo = try await scheduler.submit(FanOut.Work(children: children, shape: shape)).memo()
            guard memo.sum == UInt64(children) else { throw WrongSum(sum: memo.sum) }
        }
        let trace = fileSystem.takeTrace()
        scheduler.triggerGracefulShutdown()
        try await service
        return (duration, trace)
    }

    private struct WrongSum: Error { var sum: UInt64 }
}
