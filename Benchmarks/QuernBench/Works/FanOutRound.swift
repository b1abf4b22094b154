// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

/// One engine's turn in a round: a new store, filled, read, closed and removed.
struct FanOutRound {
    var work: FanOutWork
    var wanted: [FanOutWork.Part]
    var set: ChildSet
    var expected: FanOutWork.Expected
    var engine: EngineName

    private var isSingleParent: Bool { self.set.perParent == self.set.count }

    /// - Parameter checksOrder: whether every byte is compared too, beside the clock.
    func run(checksOrder: Bool, into table: inout SampleTable) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try makeDirectory(path)
        var store = try open(path)
        let parents = try store.makeParents(set.parentCount)
        let writtenBefore = ProcessMemory.writtenBytes
        let first = try fill(store, parents, into: &table)
        if checksOrder { try checkOrder(store, parents, first) }
        try read(store, parents, into: &table)
        if wanted.contains(.bytes) || wanted.contains(.written) {
            // Some have the last children in memory and their log alone, and write them to their files when they are
            // opened the next time: that belongs to what a child takes, and the log does not that goes then.
            try store.close()
            try open(path).close()
            addWritten(ProcessMemory.writtenBytes - writtenBefore, &table)
            add(.bytes, .bytesPerChild, try bytesPerChild(path), &table)
            store = try open(path)
        }
        if wanted.contains(.scanCold) {
            try store.close()
            try dropFromPageCache(path)
            // Some read much of their files when they are opened, and others nothing.
            let opening = try timed { store = try open(path) }
            let scan = try scanAll(store, parents)
            add(.scanCold, .nanosecondsPerChild, opening.inNanoseconds / Double(set.count) + scan, &table)
        }
        if wanted.contains(.bytesCompacted) { try store.compact() }
        try store.close()
        if wanted.contains(.bytesCompacted) {
            add(.bytesCompacted, .bytesPerChild, try bytesPerChild(path), &table)
        }
    }

    private func open(_ path: FilePath) throws -> any Engine {
        try engine.open(path, synced: work.synced, hasLargeMemos: work.memo == .page)
    }

    private func addWritten(_ bytes: Int, _ table: inout SampleTable) {
        add(.written, .bytesPerChild, Double(bytes) / Double(set.count), &table)
        let given = set.payloadBytes.count + set.allValues.count + set.count * KeyValueForm.endedFacts
        add(.written, .writeAmplification, Double(bytes) / Double(given), &table)
    }

    private func add(_ part: FanOutWork.Part, _ metric: Metric, _ value: Double, _ table: inout SampleTable) {
        guard wanted.contains(part) else { return }
        table.add(work.name(part), engine.rawValue, metric, value, synced: work.synced)
    }

    private func bytesPerChild(_ path: FilePath) throws -> Double {
        Double(try bytesOnDisk(path)) / Double(set.count)
    }

    /// - Returns: the id of the first child.
    private func fill(_ store: any Engine, _ parents: UInt64, into table: inout SampleTable) throws -> UInt64 {
        var first: UInt64?
        let batches = stride(from: 0, to: set.count, by: work.batch).map { $0..<min($0 + work.batch, set.count) }
        let inserting = try timed {
            for rows in batches {
                let id = try store.insert(set, rows, under: parents)
                let start = first ?? id
                first = start
                try verify(id, start + UInt64(rows.lowerBound), engine.rawValue, "ids of children")
            }
        }
        let start = first ?? 0
        let completing = try timed {
            for rows in batches { try store.complete(set, rows, first: start, under: parents) }
        }
        add(.insert, .childrenPerSecond, Double(set.count) / inserting.inSeconds, &table)
        add(.complete, .childrenPerSecond, Double(set.count) / completing.inSeconds, &table)
        return start
    }

    private func checkOrder(_ store: any Engine, _ parents: UInt64, _ first: UInt64) throws {
        var digest = OrderDigest()
        for parent in 0..<UInt64(set.parentCount) {
            try store.digest(parents + parent, first: first, into: &digest)
        }
        try verify(digest, expected.digest, engine.rawValue, "children in order")
    }

    private func read(_ store: any Engine, _ parents: UInt64, into table: inout SampleTable) throws {
        if wanted.contains(.scan) {
            // The first one warms caches; of the others the fastest is what the engine can do in this round.
            var best = try scanAll(store, parents)
            for _ in 0..<3 { best = min(best, try scanAll(store, parents)) }
            add(.scan, .nanosecondsPerChild, best, &table)
        }
        if wanted.contains(.failures) {
            _ = try store.scan(parents, .failures)
            var total = ScanTotal()
            let duration = try timed {
                for parent in 0..<UInt64(set.parentCount) { total += try store.scan(parents + parent, .failures) }
            }
            try verify(total, expected.failures, engine.rawValue, "scan of failures")
            add(.failures, .milliseconds, duration.inSeconds * 1000, &table)
        }
        if wanted.contains(.cursor), isSingleParent {
            var totals: [ScanTotal] = []
            let duration = try timed {
                for (skipped, _) in expected.cursors {
                    let part = ScanPart.middle(skipped: skipped, limit: FanOutWork.Expected.cursorLimit)
                    totals.append(try store.scan(parents, part))
                }
            }
            try verify(totals, expected.cursors.map(\.total), engine.rawValue, "cursors")
            let children = totals.reduce(0) { $0 + $1.children }
            add(.cursor, .nanosecondsPerChild, duration.inNanoseconds / Double(children), &table)
        }
    }

    /// - Returns: nanoseconds a child.
    private func scanAll(_ store: any Engine, _ parents: UInt64) throws -> Double {
        var total = ScanTotal()
        let duration = try timed {
            for parent in 0..<UInt64(set.parentCount) { total += try store.scan(parents + parent, .all) }
        }
        try verify(total, expected.all, engine.rawValue, "scan")
        return duration.inNanoseconds / Double(set.count)
    }
}

/// The same bytes without an engine.
struct FanOutLimits {
    var work: FanOutWork
    var wanted: [FanOutWork.Part]
    var set: ChildSet

    func run(into table: inout SampleTable) throws {
        let values = set.allValues
        let count = Double(set.count)
        let batches = max(1, set.count / work.batch)
        let calls = work.synced ? "one write and fdatasync a batch" : "one write a batch"
        for part in wanted {
            let name = work.name(part)
            func add(_ metric: Metric, _ value: Double, _ note: String) {
                table.add(name, Measurement.limit, metric, value, synced: work.synced, note: note)
            }
            switch part {
            case .insert, .complete:
                let bytes = part == .insert ? set.payloadBytes : values
                let duration = try RawFile.append(bytes, batches: batches, synced: work.synced)
                add(.childrenPerSecond, count / duration.inSeconds, calls)
            case .scan:
                let duration = try RawFile.sumMapped(values, repetitions: 3).min() ?? .zero
                add(.nanosecondsPerChild, duration.inNanoseconds / count, "raw memos in a mapped file")
            case .scanCold:
                let duration = try RawFile.readCold(values)
                add(.nanosecondsPerChild, duration.inNanoseconds / count, "sequential read of raw memos")
            case .bytes, .bytesCompacted:
                let stored = RawFile.compress(set.payloadBytes).stored + RawFile.compress(values).stored
                add(.bytesPerChild, Double(stored) / count, "payloads and memos through LZ4")
            case .failures, .cursor, .written: break
            }
        }
    }
}
