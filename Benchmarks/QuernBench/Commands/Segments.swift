// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import QuernTesting

/// `quern-bench segments`: opening a store of very many files.
struct Segments: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open a store with many index segments, and one whose log has many segments behind the checkpoint.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(parsing: .upToNextOption, help: "Index segments; figures for each.") var index = [1000, 10_000]
    @Option(parsing: .upToNextOption, help: "Log segments; figures for each.") var log = [10, 100]

    func validate() throws {
        guard (index + log).allSatisfy({ $0 > 0 }) else { throw ValidationError("segments are at least 1") }
    }

    func run() async throws {
        var report = Report("segments", "opening a store of many files, all in the page cache")
        for count in index {
            let bench = try await indexStore(count)
            let found = try StoreInspection(of: bench.path).indexSegments.count
            let openings = try (0..<measuring.repetitions).map { _ in try Opening.measured(bench.path) }
            add(openings, "\(found.text) index segments", to: &report)
        }
        for count in log {
            let bench = try await logStore(count)
            let found = try StoreInspection(of: bench.path).logSegments.count
            // Closing writes a checkpoint, so that a copy is opened each time.
            let openings = try (0..<measuring.repetitions).map { _ in
                let copy = try TemporaryDirectory()
                try StoreCopy.copy(bench.path, to: copy.path)
                return try Opening.measured(copy.path)
            }
            try await bench.store.close()
            add(openings, "\(found.text) log segments to replay", to: &report)
        }
        report.print(asJSON: measuring.json)
    }

    private func add(_ openings: [Opening.Figures], _ name: String, to report: inout Report) {
        report.add(Figure("\(name): time", "ms", openings.map(\.milliseconds)))
        report.add(
            Figure("  resident", "MiB", openings.map { ($0.residentAfter - $0.residentBefore) / 1_048_576 }))
    }

    /// A closed store with a block in each index segment.
    private func indexStore(_ count: Int) async throws -> BenchmarkStore {
        var configuration = MemoStore.Configuration()
        configuration.indexSegmentBytes = 1
        let bench = try await BenchmarkStore(configuration: configuration, synchronizes: false)
        let memo = [UInt8](repeating: 0, count: 64 << 10)
        for task in try await bench.spawn(count) {
            var transaction = Transaction()
            transaction.end(
                .init(
                    task: TaskID(task), parent: bench.parent, label: bench.label, kind: .completed,
                    endedAt: Transactions.start)
            ) { $0.append(contentsOf: memo) }
            try await bench.store.append(transaction, durability: .buffered)
        }
        try await bench.store.close()
        return bench
    }

    /// An open store with a batch in each log segment, and no checkpoint behind the first.
    private func logStore(_ count: Int) async throws -> BenchmarkStore {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1
        configuration.logReserveBytes = 0
        configuration.checkpointBytes = .max
        let bench = try await BenchmarkStore(configuration: configuration, synchronizes: false)
        _ = try await bench.store.append(
            all: Transactions.spawning(count, under: bench.parent, label: bench.label, size: 1), inFlight: 1,
            durability: .buffered)
        return bench
    }
}
