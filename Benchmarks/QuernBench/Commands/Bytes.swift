// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import QuernTesting

/// `quern-bench bytes`: what a child costs on disk.
struct Bytes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bytes a child in the log and in the index, with and without memos.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(help: "Children of the parent.") var children = 238_000
    @Option(help: "Children a commit.") var perCommit = 1000

    /// Bytes a child.
    private struct Sizes {
        var spawned: Double
        var ended: Double
        var index: Double
    }

    func run() async throws {
        var report = Report(
            "bytes", "on disk, \(children.text) children with 24-byte payloads, \(perCommit.text) a commit")
        let empty = try await sizes(.empty)
        report.add(figure("log, a child spawned", empty.spawned))
        for memos in [Memos.empty, .counters, .random, .variable] {
            let sizes = memos == .empty ? empty : try await sizes(memos)
            report.add(figure("\(memos.name): log, a child ended", sizes.ended))
            report.add(figure("\(memos.name): index", sizes.index))
            report.add(figure("\(memos.name): in all", sizes.spawned + sizes.ended + sizes.index))
            if memos != .empty {
                report.add(figure("\(memos.name): the memo in the log", sizes.ended - empty.ended))
                report.add(figure("\(memos.name): the memo in the index", sizes.index - empty.index))
            }
        }
        report.print(asJSON: measuring.json)
    }

    private func figure(_ name: String, _ value: Double) -> Figure { Figure(name, "bytes a child", [value]) }

    private func sizes(_ memos: Memos) async throws -> Sizes {
        var configuration = MemoStore.Configuration()
        // No checkpoint on the way, so that the log keeps all that was written.
        configuration.checkpointBytes = .max
        // Nor zeros ahead of it, which would count as bytes of the last child.
        configuration.logReserveBytes = 0
        let bench = try await BenchmarkStore(configuration: configuration)
        let before = try bench.sizes()
        let tasks = try await bench.spawn(children, size: perCommit)
        let spawned = try bench.sizes()
        try await bench.end(tasks, memos, size: perCommit)
        // The parent's own end writes its last block.
        var random = SeededGenerator(seed: 1)
        var transaction = Transaction()
        transaction.end(
            bench.parent.rawValue, under: .none, label: bench.label, milliseconds: 0, memos: .empty, from: &random)
        try await bench.store.append(transaction)
        let ended = try bench.sizes()
        try await bench.store.close()
        return Sizes(
            spawned: Double(spawned.log - before.log) / Double(children),
            ended: Double(ended.log - spawned.log) / Double(children),
            index: Double(ended.index - before.index) / Double(children))
    }
}
