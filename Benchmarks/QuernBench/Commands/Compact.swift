// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import Synchronization

/// `quern-bench compact`: rewriting an index half of which is dropped, and what commits notice of it.
struct Compact: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compact an index while one caller commits; beside it the same commits without a compaction.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(help: "Ended children in the index.") var children = 2_000_000
    @Option(help: "Parents that they belong to, in turn.") var parents = 64
    @Option(help: "Commits that are measured without a compaction.") var commits = 2000

    func validate() throws {
        guard children > 0, parents > 0, commits > 0 else {
            throw ValidationError("children, parents and commits are at least 1")
        }
    }

    func run() async throws {
        var report = Report(
            "compact",
            "\(children.text) children of \(parents.text) parents with 24 random bytes, every other parent dropped; "
                + "one caller, one child a commit")
        let sync = Figure.Limit(name: "write+fdatasync", value: try SyncLatency.appends().median)
        var alone = Latencies()
        var beside = Latencies()
        var rates: [Double] = []
        var seconds: [Double] = []
        for _ in 0..<measuring.repetitions {
            var configuration = MemoStore.Configuration()
            configuration.indexSegmentBytes = 4 << 20
            let bench = try await BenchmarkStore(configuration: configuration)
            try await fill(bench)
            let tasks = try await bench.spawn(200_000)
            let transactions = Transactions.ending(
                tasks, under: bench.parent, label: bench.label, memos: .counters, size: 1)
            try await bench.store.append(Transaction(), durability: .synced)
            let rest = transactions.dropFirst(commits)
            alone.add(try await latencies(transactions.prefix(commits), bench.store) { false })

            let isDone = Mutex(false)
            async let compaction = compact(bench.store, isDone)
            beside.add(try await latencies(rest, bench.store) { isDone.withLock { $0 } })
            let (result, duration) = try await compaction
            seconds.append(duration.inSeconds)
            rates.append(Double(result.bytesBefore) / 1_048_576 / duration.inSeconds)
            try await bench.store.close()
        }
        report.add(Figure("compaction", "MiB/s of index", rates, .moreIsBetter))
        report.add(Figure("  it took", "s", seconds))
        for (name, latencies) in [("without a compaction", alone), ("beside one", beside)] {
            report.add(Figure("commit \(name): p50", "microseconds", latencies.middle, limit: sync))
            report.add(Figure("  p99", "microseconds", latencies.high, limit: sync))
            report.add(Figure("  longest", "microseconds", latencies.longest, limit: sync))
        }
        report.print(asJSON: measuring.json)
    }

    private func compact(
        _ store: MemoStore, _ isDone: borrowing Mutex<Bool>
    ) async throws -> (CompactionReport, Duration) {
        defer { isDone.withLock { $0 = true } }
        let start = ContinuousClock.now
        let report = try await store.compact()
        return (report, ContinuousClock.now - start)
    }

    /// Microseconds of each commit, until `isDone`.
    private func latencies(
        _ transactions: some Sequence<Transaction>, _ store: MemoStore, until isDone: () -> Bool
    ) async throws -> [Double] {
        var latencies: [Double] = []
        for transaction in transactions {
            if isDone() { break }
            let duration = try await timedAsynchronously { try await store.append(transaction, durability: .synced) }
            latencies.append(duration.inNanoseconds / 1000)
        }
        return latencies.sorted()
    }

    /// Children of all parents in turn, so that each parent's blocks lie far apart. Every other tree is dropped: each
    /// segment has something to give back.
    private func fill(_ bench: BenchmarkStore) async throws {
        let share = max(1, children / parents)
        var left: [(parent: TaskID, tasks: ArraySlice<UInt64>)] = []
        for _ in 0..<parents {
            let parent = try await bench.store.makeParent(label: bench.label)
            let tasks = try await bench.store.append(
                all: Transactions.spawning(share, under: parent, label: bench.label, size: 4000), inFlight: 4,
                durability: .buffered
            ).flatMap { Array($0) }
            left.append((parent, tasks[...]))
        }
        var seed: UInt64 = 0
        while !left[0].tasks.isEmpty {
            for index in left.indices {
                seed += 1
                try await bench.store.append(
                    all: Transactions.ending(
                        left[index].tasks.prefix(1000), under: left[index].parent, label: bench.label,
                        memos: .random, size: 1000, seed: seed), inFlight: 1, durability: .buffered)
                left[index].tasks = left[index].tasks.dropFirst(1000)
            }
        }
        for index in left.indices where index % 2 == 0 {
            let parent = left[index].parent
            try await bench.store.append(
                all: Transactions.ending(
                    [parent.rawValue], under: .none, label: bench.label, memos: .counters, size: 1), inFlight: 1,
                durability: .buffered)
            try await bench.store.dropTree(parent, durability: .buffered)
        }
    }
}

/// Percentiles of each repetition.
private struct Latencies {
    var middle: [Double] = []
    var high: [Double] = []
    var longest: [Double] = []

    /// - Parameter sorted: not empty when anything was measured.
    mutating func add(_ sorted: [Double]) {
        guard let last = sorted.last else { return }
        middle.append(sorted[(sorted.count - 1) / 2])
        high.append(sorted[(sorted.count - 1) * 99 / 100])
        longest.append(last)
    }
}
