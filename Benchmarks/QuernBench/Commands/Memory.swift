// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import QuernTesting

/// `quern-bench memory`: what a store needs in memory, at its two extremes.
struct Memory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Peak memory with very many small parents, and with one very large one.")

    enum Shape: String, ExpressibleByArgument, CaseIterable {
        case smallParents = "small-parents"
        case largeParent = "large-parent"
    }

    @Flag(help: "Print a line of JSON a figure instead of the table.") var json = false
    @Option(help: "One of \(Shape.allCases.map(\.rawValue).joined(separator: ", ")); each in a process when left out.")
    var shape: Shape?
    @Option(help: "Parents that are live at one time.") var parents = 100_000
    @Option(help: "Children of each small parent.") var perParent = 4
    @Option(help: "Children of the large parent.") var children = 10_000_000

    func run() async throws {
        guard let shape else {
            for shape in Shape.allCases {
                try OwnProcess.run(
                    [
                        "memory", "--shape", shape.rawValue, "--parents", "\(parents)", "--per-parent", "\(perParent)",
                        "--children", "\(children)",
                    ] + (json ? ["--json"] : []))
            }
            return
        }
        let configuration = MemoStore.Configuration()
        let bench = try await BenchmarkStore(configuration: configuration)
        let before = ProcessMemory.resident
        let duration: Duration
        let title: String
        switch shape {
        case .smallParents:
            title = "\(parents.text) parents live at one time, \(perParent.text) children each, ended in turn"
            duration = try await timedAsynchronously { try await fillSmallParents(bench) }
        case .largeParent:
            title = "one parent, \(children.text) children, spawned and ended 1,000 at a time"
            duration = try await timedAsynchronously { try await fillLargeParent(bench) }
        }
        // Before the files are inspected, which reads what is live a second time.
        let peak = ProcessMemory.peak
        let sizes = try bench.sizes()
        let count = Double(shape == .smallParents ? parents * perParent : children)
        var report = Report("memory", title)
        report.add(Figure("resident before", "MiB", [Double(before) / 1_048_576]))
        report.add(
            Figure(
                "resident at most", "MiB", [Double(peak) / 1_048_576],
                limit: .init(name: "openBlockBytes", value: Double(configuration.openBlockBytes) / 1_048_576)))
        report.add(Figure("time", "s", [duration.inSeconds]))
        report.add(Figure("log", "bytes a child", [Double(sizes.log) / count]))
        report.add(Figure("index", "bytes a child", [Double(sizes.index) / count]))
        report.print(asJSON: json)
        try await bench.store.close()
    }

    private func fillSmallParents(_ bench: BenchmarkStore) async throws {
        let store = bench.store
        let roots = try await store.append(
            all: Transactions.spawning(parents, under: .none, label: bench.label, size: 1000), inFlight: 4,
            durability: .buffered
        ).flatMap { Array($0) }
        var children: [[Range<UInt64>]] = []
        for start in stride(from: 0, to: parents, by: 250) {
            var transaction = Transaction()
            for root in roots[start..<min(start + 250, parents)] {
                for _ in 0..<perParent {
                    transaction.spawn(under: TaskID(root), label: bench.label, at: Transactions.start) {
                        $0.append(contentsOf: "/srv/data/00000000000000".utf8)
                    }
                }
            }
            children.append(try await store.append(transaction, durability: .buffered).spawned)
        }
        // One child of each parent after the other, so that all parents have an open block.
        let ids = children.flatMap { $0.flatMap { Array($0) } }
        var random = SeededGenerator(seed: 1)
        for round in 0..<perParent {
            for start in stride(from: 0, to: parents, by: 1000) {
                var transaction = Transaction()
                for index in start..<min(start + 1000, parents) {
                    transaction.end(
                        ids[index * perParent + round], under: TaskID(roots[index]), label: bench.label,
                        milliseconds: Int64(index >> 4), memos: .counters, from: &random)
                }
                try await store.append(transaction, durability: .buffered)
            }
        }
        for start in stride(from: 0, to: parents, by: 10_000) {
            try await store.append(
                all: Transactions.ending(
                    roots[start..<min(start + 10_000, parents)], under: .none, label: bench.label, memos: .counters,
                    size: 1000), inFlight: 4, durability: .buffered)
        }
    }

    private func fillLargeParent(_ bench: BenchmarkStore) async throws {
        // A hundred commits at a time, so that the children that wait are few.
        for start in stride(from: 0, to: children, by: 100_000) {
            try await bench.end(try await bench.spawn(min(100_000, children - start)), .counters)
        }
    }
}
