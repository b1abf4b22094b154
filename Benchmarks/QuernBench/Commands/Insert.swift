// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern-bench insert`: spawning children.
struct Insert: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Spawn children, synced; beside it the same writes and syncs without a store.")

    @OptionGroup var measuring: MeasuringOptions
    @OptionGroup var commits: CommitOptions

    func run() async throws {
        try await commits.measure("insert", "spawned", measuring) { bench in
            Transactions.spawning(commits.children, under: bench.parent, label: bench.label, size: commits.perCommit)
        }
    }
}

/// `quern-bench complete`: ending children.
struct Complete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End children with 24-byte memos, synced; beside it the same writes and syncs without a store.")

    @OptionGroup var measuring: MeasuringOptions
    @OptionGroup var commits: CommitOptions

    func run() async throws {
        try await commits.measure("complete", "ended with 24-byte memos", measuring) { bench in
            Transactions.ending(
                try await bench.spawn(commits.children), under: bench.parent, label: bench.label, memos: .counters,
                size: commits.perCommit)
        }
    }
}

/// How many children, and in what portions.
struct CommitOptions: ParsableArguments {
    @Option(help: "Children in all.") var children = 238_000
    @Option(help: "Children a transaction.") var perCommit = 1000
    @Option(parsing: .upToNextOption, help: "Transactions under way at a time; a figure for each.")
    var inFlight = [1, 4, 16]

    func validate() throws {
        guard children > 0, perCommit > 0, inFlight.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("children, portions and transactions under way are at least 1")
        }
    }

    /// Measures transactions that `prepare` makes for each new store.
    func measure(
        _ benchmark: String, _ verb: String, _ measuring: MeasuringOptions,
        prepare: (BenchmarkStore) async throws -> [Transaction]
    ) async throws {
        var report = Report(
            benchmark, "\(children.text) children of one parent \(verb), \(perCommit.text) a transaction, synced")
        for inFlight in inFlight {
            var rates: [Double] = []
            var limits: [Double] = []
            var syncs: [Double] = []
            for _ in 0..<measuring.repetitions {
                let bench = try await BenchmarkStore()
                let transactions = try await prepare(bench)
                // Whatever the preparation left to sync or to check is not ours.
                try await bench.store.append(Transaction(), durability: .synced)
                bench.fileSystem.takeTrace()
                let duration = try await timedAsynchronously {
                    try await bench.store.append(all: transactions, inFlight: inFlight)
                }
                let trace = bench.fileSystem.takeTrace()
                try await bench.store.close()
                rates.append(Double(children) / duration.inSeconds)
                limits.append(Double(children) / (try trace.replay().inSeconds))
                syncs.append(Double(children) / Double(max(1, trace.synchronizations)))
            }
            report.add(
                Figure(
                    "\(inFlight) in flight", "children/s", rates, .moreIsBetter,
                    limit: .init(name: "write+fdatasync", value: limits.median)))
            report.add(Figure("  of them a sync", "children", syncs, .moreIsBetter))
        }
        report.print(asJSON: measuring.json)
    }
}
