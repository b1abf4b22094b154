// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern-bench scan`: reading the children of one parent back.
struct Scan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stream the memos of one parent's children, all in memory; beside it a copy of the same bytes.")

    @OptionGroup var measuring: MeasuringOptions
    @Option(help: "Children of the parent.") var children = 238_000
    @Option(help: "Children a commit.") var perCommit = 1000

    func run() async throws {
        var report = Report("scan", "\(children.text) children of one parent, ended \(perCommit.text) a commit, warm")
        for memos in [Memos.counters, .empty, .variable] {
            let bench = try await BenchmarkStore()
            try await bench.end(try await bench.spawn(children), memos, size: perCommit)
            let snapshot = try bench.store.children(of: bench.parent)
            let copy = try memoryCopy(snapshot)
            report.add(try figure("\(memos.name), one thread", copy) { try Self.scan(snapshot, memos) })
            if memos == .counters {
                report.add(
                    try figure("\(memos.name), two threads", copy) {
                        let total = try snapshot.reduceBlocking(
                            into: UInt64(0), columns: .memos, threads: 2, { $0 &+= Self.sum($1, memos) },
                            combine: { $0 &+= $1 })
                        keep(total)
                    })
            }
            try await bench.store.close()
        }
        report.print(asJSON: measuring.json)
    }

    private func figure(_ name: String, _ limit: Figure.Limit?, _ body: () throws -> Void) throws -> Figure {
        try body()
        let samples = try (0..<measuring.repetitions).map { _ in try timed(body).inNanoseconds / Double(children) }
        return Figure(name, "ns a child", samples, limit: limit)
    }

    /// Copying as many bytes as the memos have.
    private func memoryCopy(_ snapshot: ChildSnapshot) throws -> Figure.Limit? {
        var bytes = 0
        var cursor = snapshot.makeCursor(columns: .memos)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count { bytes += block.withValue(at: index) { $0.byteCount } }
        }
        guard bytes > 0 else { return nil }
        let samples = MemoryCopy.durations(bytes: bytes, repetitions: measuring.repetitions)
            .map { $0.inNanoseconds / Double(children) }
        return .init(name: "memcpy", value: samples.median)
    }

    private static func scan(_ snapshot: ChildSnapshot, _ memos: Memos) throws {
        var total: UInt64 = 0
        var cursor = snapshot.makeCursor(columns: .memos)
        var block = ChildBlock()
        while try cursor.next(into: &block) { total &+= sum(block, memos) }
        keep(total)
    }

    /// Looks at every memo of a block.
    private static func sum(_ block: borrowing ChildBlock, _ memos: Memos) -> UInt64 {
        var total: UInt64 = 0
        switch memos {
        case .counters, .random:
            block.withMemos(as: Memos.Counters.self) { span in
                for index in span.indices {
                    total &+= span[index].discovered &+ span[index].skipped &+ span[index].deleted
                }
            }
        case .empty: for index in 0..<block.count where block.kind(at: index) == .completed { total &+= 1 }
        case .variable:
            for index in 0..<block.count {
                total &+= block.withValue(at: index) { UInt64($0.unsafeLoad(as: UInt8.self)) &+ UInt64($0.byteCount) }
            }
        }
        return total
    }
}
