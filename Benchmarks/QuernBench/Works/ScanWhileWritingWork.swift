// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage

/// Scans of one parent's children while another thread puts in and ends those of a second parent, a thousand a synced
/// transaction, without a pause.
struct ScanWhileWritingWork: Work {
    var suffix: String
    var children: Int

    var name: String { "scan-while-writing-\(suffix)" }
    var names: [String] { [name] }

    func run(_ bench: Bench) async throws {
        let set = ChildSet(.counters, count: children, perParent: children)
        let expected = set.expected()
        var table = SampleTable()
        for round in 0..<bench.fewRounds {
            for engine in bench.engines(inRound: round) { try turn(engine, set, expected, into: &table) }
            let duration = try RawFile.sumMapped(set.allValues, repetitions: 3).min() ?? .zero
            table.add(
                name, Measurement.limit, .nanosecondsPerChild, duration.inNanoseconds / Double(children),
                note: "raw memos in a mapped file, nobody writes")
        }
        try bench.results.add(
            table.sorted(names),
            title: "scans of \(children.text) children, and what a writer beside them puts in and ends, synced\n")
    }

    private func turn(
        _ engine: EngineName, _ set: ChildSet, _ expected: ScanTotal, into table: inout SampleTable
    ) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try makeDirectory(path)
        let store = try engine.open(path, synced: true)
        let parents = try store.makeParents(2)
        let batches = stride(from: 0, to: children, by: 1000).map { $0..<min($0 + 1000, children) }
        var first: UInt64?
        for rows in batches {
            let id = try store.insert(set, rows, under: parents)
            first = first ?? id
        }
        let start = first ?? 0
        for rows in batches { try store.complete(set, rows, first: start, under: parents) }
        let found = Mutex(Found())
        let isOver = Atomic(false)
        // Five scans and a third of a second at the least, so that the writer has come to something.
        BlockingThreads.run(2) { thread in
            do {
                if thread == 0 {
                    defer { isOver.store(true, ordering: .releasing) }
                    let begin = ContinuousClock.now
                    var scans: [Double] = []
                    while scans.count < 5 || ContinuousClock.now - begin < .milliseconds(300) {
                        var total = ScanTotal()
                        let duration = try timed { total = try store.scan(parents, .all) }
                        try verify(total, expected, engine.rawValue, "scan while another thread writes")
                        scans.append(duration.inNanoseconds / Double(set.count))
                    }
                    found.withLock { $0.scans = scans }
                } else {
                    var written = 0
                    let duration = try timed {
                        while !isOver.load(ordering: .acquiring) {
                            // The rows again, as children of the other parent.
                            let rows = batches[written % batches.count]
                            let id = try store.insert(set, rows, under: parents + 1)
                            try store.complete(
                                set, rows, first: id &- UInt64(rows.lowerBound), under: parents + 1)
                            written += 1
                        }
                    }
                    found.withLock { $0.rate = Double(written * 1000) / duration.inSeconds }
                }
            } catch {
                isOver.store(true, ordering: .releasing)
                found.withLock { $0.failure = error }
            }
        }
        try store.close()
        let result = found.withLock { $0 }
        if let failure = result.failure { throw failure }
        table.add(name, engine.rawValue, .nanosecondsPerChild, result.scans.median, synced: true)
        table.add(name, engine.rawValue, .childrenPerSecond, result.rate, synced: true)
    }

    private struct Found {
        var scans: [Double] = []
        var rate = 0.0
        var failure: (any Error)?
    }
}
