// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import QuernTesting
import SystemPackage

/// `quern-bench open`: opening a large store.
struct Open: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open a store with many ended children: after a clean close, and as a kill leaves it.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(help: "Ended children.") var children = 10_000_000
    @Option(help: "Children of a parent.") var perParent = 238_000
    @Option(help: "Tasks without an outcome.") var live = 1000

    func run() async throws {
        let bench = try await BenchmarkStore()
        try await fill(bench)
        var report = Report(
            "open", "\(children.text) ended children, \(live.text) live tasks, files in the page cache")
        // A copy of the files of an open store is what a kill leaves: no write is under way.
        var killed: [Opening.Figures] = []
        for _ in 0..<measuring.repetitions {
            let copy = try TemporaryDirectory()
            try StoreCopy.copy(bench.path, to: copy.path)
            killed.append(try Opening.measured(copy.path))
        }
        try await bench.store.close()
        let clean = try (0..<measuring.repetitions).map { _ in try Opening.measured(bench.path) }
        for (name, openings) in [("clean close", clean), ("kill", killed)] {
            report.add(Figure("\(name): time", "ms", openings.map(\.milliseconds)))
            report.add(Figure("\(name): log replayed", "MiB", openings.map { $0.replayedBytes / 1_048_576 }))
            report.add(Figure("\(name): resident before", "MiB", openings.map { $0.residentBefore / 1_048_576 }))
            report.add(Figure("\(name): resident after", "MiB", openings.map { $0.residentAfter / 1_048_576 }))
        }
        report.print(asJSON: measuring.json)
    }

    private func fill(_ bench: BenchmarkStore) async throws {
        _ = try await bench.spawn(live - 1)
        var left = children
        while left > 0 {
            let count = min(left, perParent)
            let parent = try await bench.store.makeParent(label: bench.label)
            let tasks = try await bench.store.append(
                all: Transactions.spawning(count, under: parent, label: bench.label, size: 1000), inFlight: 4,
                durability: .buffered
            ).flatMap { Array($0) }
            try await bench.store.append(
                all: Transactions.ending(tasks, under: parent, label: bench.label, memos: .counters, size: 1000),
                inFlight: 4, durability: .buffered)
            var random = SeededGenerator(seed: 1)
            var transaction = Transaction()
            transaction.end(
                parent.rawValue, under: .none, label: bench.label, milliseconds: 0, memos: .counters, from: &random)
            try await bench.store.append(transaction)
            left -= count
        }
    }
}

/// One opening, in a process that did nothing before it.
struct Opening: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "opening", abstract: "Open one store and print what it took.", shouldDisplay: false)

    @Argument var store: String

    func run() throws {
        let before = ProcessMemory.resident
        var opened: MemoStore?
        let duration = try timed { () throws(StoreError) in opened = try MemoStore.openBlocking(at: FilePath(store)) }
        let after = ProcessMemory.resident
        let report = opened?.recovery ?? RecoveryReport()
        print(duration.inSeconds * 1000, report.replayedBytes, before, after)
        try opened?.closeBlocking()
    }
}

extension Opening {
    struct Figures {
        var milliseconds: Double
        var replayedBytes: Double
        var residentBefore: Double
        var residentAfter: Double
    }

    static func measured(_ path: FilePath) throws -> Figures {
        let numbers = try OwnProcess.numbers(["opening", path.string], count: 4)
        return Figures(
            milliseconds: numbers[0], replayedBytes: numbers[1], residentBefore: numbers[2],
            residentAfter: numbers[3])
    }
}
