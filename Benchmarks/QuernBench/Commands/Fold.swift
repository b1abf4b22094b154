// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernTesting
import SystemPackage

/// `quern-bench fold`: what `finalize` takes to read a memo, by each of the ways that there are.
struct Fold: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Nanoseconds a memo in finalize: streams, folds, aggregates that go on, parallel ones.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(help: "Children of the parent.") var children = 2_000_000

    func run() async throws {
        let directory = try TemporaryDirectory()
        let figures = Figures()
        let (children, repetitions) = (children, measuring.repetitions)
        let scheduler = try await TaskScheduler(storeAt: directory.path.appending("store")) {
            $0.register(NoOperation())
            $0.register(Folding(repetitions: repetitions, figures: figures))
        }
        async let service: Void = scheduler.run()
        _ = try await scheduler.submit(Folding.Work(children: children)).memo()
        scheduler.triggerGracefulShutdown()
        try await service
        var report = Report("fold", "memos of \(children.text) children (24 bytes) added up in finalize")
        for (name, samples) in await figures.all { report.add(Figure(name, "ns a memo", samples)) }
        report.print(asJSON: measuring.json)
    }

    fileprivate actor Figures {
        var all: [(name: String, samples: [Double])] = []

        func add(_ name: String, _ sample: Double) {
            if let index = all.firstIndex(where: { $0.name == name }) {
                all[index].samples.append(sample)
            } else {
                all.append((name, [sample]))
            }
        }
    }
}

/// Adds up the same memos in every way.
private struct Folding: OrchestratorHandler {
    struct Work: DurableTask {
        static let type: TaskType = "benchmark.folding"
        var children: Int

        typealias Memo = NoMemo
    }

    let repetitions: Int
    let figures: Fold.Figures

    func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
        for number in 0..<task.children { try context.spawnChild(NoOperation.Work(number: UInt32(number))) }
        return NoHandover()
    }

    func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> NoMemo {
        for repetition in 0..<repetitions {
            try await measure("for try await", task) {
                var sum: UInt64 = 0
                for try await memo in context.childMemos(of: NoOperation.Work.self) { sum += memo.discovered }
                return sum
            }
            try await measure("reduceMemos", task) {
                try context.reduceMemos(of: NoOperation.Work.self, into: UInt64(0)) { $0 += $1.discovered }
            }
            try await measure("aggregate, saved each million", task) {
                try await context.aggregate(of: NoOperation.Work.self, into: UInt64(0), named: "one-\(repetition)") {
                    $0 += $1.discovered
                }
            }
            try await measure("aggregate, saved each 100,000", task) {
                try await context.aggregate(
                    of: NoOperation.Work.self, into: UInt64(0), every: 100_000, named: "many-\(repetition)"
                ) { $0 += $1.discovered }
            }
            try await measure("aggregate, all processors", task) {
                try await context.aggregate(
                    of: NoOperation.Work.self, into: UInt64(0), named: "parallel-\(repetition)"
                ) {
                    $0 += $1.discovered
                } combine: {
                    $0 += $1
                }
            }
        }
        return NoMemo()
    }

    private func measure(_ name: String, _ task: Work, _ body: () async throws -> UInt64) async throws {
        let start = ContinuousClock.now
        let sum = try await body()
        let time = ContinuousClock.now - start
        guard sum == UInt64(task.children) else { throw WrongSum(sum: sum) }
        await figures.add(name, time.inNanoseconds / Double(task.children))
    }

    private struct WrongSum: Error { var sum: UInt64 }
}
