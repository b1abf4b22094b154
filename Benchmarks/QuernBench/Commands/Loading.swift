// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SystemPackage

/// Fills a store with children of one parent and dies: the first part of a turn of ``LargeStoreWork``.
struct Loading: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loading", abstract: "Load children, print what it took, and die by SIGKILL.", shouldDisplay: false
    )

    @Argument var engine: EngineName
    @Argument var path: String
    @Argument var children: Int

    /// So many children are made at a time, beside the clock, and put in and ended a thousand a transaction.
    private static let portion = 250_000

    func run() throws {
        let store = try engine.open(FilePath(path), synced: true)
        let parent = try store.makeParents(1)
        var duration = Duration.zero
        var expected = ScanTotal()
        for start in stride(from: 0, to: children, by: Self.portion) {
            let count = min(Self.portion, children - start)
            let set = ChildSet(.counters, count: count, perParent: count, number: start / Self.portion)
            expected += set.expected()
            let batches = stride(from: 0, to: count, by: 1000).map { $0..<min($0 + 1000, count) }
            duration += try timed {
                var first: UInt64?
                for rows in batches {
                    let id = try store.insert(set, rows, under: parent)
                    first = first ?? id
                }
                for rows in batches { try store.complete(set, rows, first: first ?? 0, under: parent) }
            }
        }
        print(duration.inSeconds, ProcessMemory.peak, parent, expected.children, expected.failures, expected.sum)
        OwnProcess.die()
    }
}

/// Opens a store in a process that did nothing before it, and reads it: the other parts of the turn.
struct Reopening: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reopening", abstract: "Open a store, scan it when asked to, and print what it took.",
        shouldDisplay: false)

    @Argument var engine: EngineName
    @Argument var path: String
    @Argument var parent: UInt64
    @Option(help: "Scans; the first one is not counted when there are more.") var scans = 0

    func run() throws {
        var opened: (any Engine)?
        let opening = try timed { opened = try engine.open(FilePath(path), synced: true) }
        guard let store = opened else { return }
        var total = ScanTotal()
        var best = Duration.seconds(1_000_000)
        for scan in 0..<scans {
            let duration = try timed { total = try store.scan(parent, .all) }
            if scan > 0 || scans == 1 { best = min(best, duration) }
        }
        let nanoseconds = best.inNanoseconds / Double(max(1, total.children))
        print(opening.inSeconds * 1000, nanoseconds, total.children, total.failures, total.sum)
        try store.close()
    }
}
