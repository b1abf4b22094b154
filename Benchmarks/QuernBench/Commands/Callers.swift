// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern-bench callers`: one child a call, each call synced, many callers at once.
struct Callers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End one child a synced call from many callers; beside it the same writes and syncs without a store.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(parsing: .upToNextOption, help: "Asynchronous callers at a time; a figure for each.")
    var callers = [1, 16, 256, 4096]
    @Option(parsing: .upToNextOption, help: "Callers with a thread of their own; a figure for each.")
    var threads = [1, 16]
    @Option(help: "Calls of each caller, at most --calls in all.") var callsEach = 1000
    @Option(help: "Calls in all, at most.") var calls = 200_000

    func validate() throws {
        guard (callers + threads + [callsEach, calls]).allSatisfy({ $0 > 0 }) else {
            throw ValidationError("callers and calls are at least 1")
        }
    }

    func run() async throws {
        var report = Report("callers", "one child with a 24-byte memo ended a call, each call synced")
        let latency = try SyncLatency.appends()
        report.add(Figure("write of 4 KiB and fdatasync", "microseconds", latency))
        for count in callers {
            try await measure("\(count.text) asynchronous", count, &report) { store, transactions in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<count {
                        group.addTask {
                            for call in stride(from: caller, to: transactions.count, by: count) {
                                try await store.append(transactions[call])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        for count in threads {
            try await measure("\(count.text) threads", count, &report) { store, transactions in
                BlockingThreads.run(count) { caller in
                    for call in stride(from: caller, to: transactions.count, by: count) {
                        do throws(StoreError) { try store.appendBlocking(transactions[call]) } catch {
                            preconditionFailure("an append failed: \(error)")
                        }
                    }
                }
            }
        }
        report.print(asJSON: measuring.json)
    }

    private func measure(
        _ name: String, _ count: Int, _ report: inout Report,
        _ call: (MemoStore, [Transaction]) async throws -> Void
    ) async throws {
        let calls = min(self.calls, max(count, callsEach.multipliedReportingOverflow(by: count).partialValue))
        var rates: [Double] = []
        var limits: [Double] = []
        var shares: [Double] = []
        for _ in 0..<measuring.repetitions {
            let bench = try await BenchmarkStore()
            let transactions = Transactions.ending(
                try await bench.spawn(calls), under: bench.parent, label: bench.label, memos: .counters, size: 1)
            try await bench.store.append(Transaction(), durability: .synced)
            bench.fileSystem.takeTrace()
            let duration = try await timedAsynchronously { try await call(bench.store, transactions) }
            let trace = bench.fileSystem.takeTrace()
            try await bench.store.close()
            rates.append(Double(calls) / duration.inSeconds)
            limits.append(Double(calls) / (try trace.replay().inSeconds))
            shares.append(Double(calls) / Double(max(1, trace.synchronizations)))
        }
        report.add(
            Figure(
                name, "calls/s", rates, .moreIsBetter, limit: .init(name: "write+fdatasync", value: limits.median)))
        report.add(Figure("  of them a sync", "calls", shares, .moreIsBetter))
    }
}
