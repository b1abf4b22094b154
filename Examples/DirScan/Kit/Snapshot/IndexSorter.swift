// SPDX-License-Identifier: Apache-2.0

/// Sorts index entries that come in any order, in bounded memory: full batches are sorted and go to a temporary file as
/// runs, and the runs are merged.
///
/// Memory: 3.5 MiB for a batch, then 4 MiB for all runs together. From 64 million directories on the merge needs
/// 4 KiB a run of 65,536 directories.
struct IndexSorter {
    private let file: OutputFile
    private let runLength: Int
    private var batch: [IndexEntry] = []
    /// Where the runs lie, in entries.
    private var runs: [Range<Int>] = []

    static let runLength = 16_384
    private static let mergeMemory = 4 << 20
    private static let leastBuffer = 4 << 10

    init(file: OutputFile, runLength: Int = runLength) {
        self.file = file
        self.runLength = runLength
    }

    mutating func add(_ entry: IndexEntry) throws(SnapshotError) {
        if batch.isEmpty { batch.reserveCapacity(runLength) }
        batch.append(entry)
        if batch.count >= runLength { try spill() }
    }

    /// Calls `body` with all entries in order. The sorter is empty afterwards.
    mutating func drain(_ body: (IndexEntry) throws(SnapshotError) -> Void) throws(SnapshotError) {
        if runs.isEmpty {
            batch.sort(by: IndexEntry.precedes)
            for entry in batch { try body(entry) }
            batch = []
            return
        }
        if !batch.isEmpty { try spill() }
        batch = []
        try file.flush()
        let share = max(Self.mergeMemory / runs.count, Self.leastBuffer) / SnapshotFormat.entryLength
        var merge = try RunMerge(runs.map { RunReader(file, $0, capacity: share) })
        while let entry = merge.least {
            try body(entry)
            try merge.advance()
        }
        runs = []
    }

    private mutating func spill() throws(SnapshotError) {
        batch.sort(by: IndexEntry.precedes)
        let start = runs.last?.upperBound ?? 0
        // A typed error cannot leave a closure of the standard library as such.
        let outcome = batch.withUnsafeBytes { bytes in
            Result { () throws(SnapshotError) in try file.append(bytes) }
        }
        try outcome.get()
        runs.append(start..<(start + batch.count))
        batch.removeAll(keepingCapacity: true)
    }
}

/// Reads one sorted run through a buffer.
private final class RunReader {
    private let file: OutputFile
    private var rest: Range<Int>
    private let buffer: UnsafeMutableBufferPointer<IndexEntry>
    private var filled = 0
    private var position = 0

    init(_ file: OutputFile, _ run: Range<Int>, capacity: Int) {
        self.file = file
        rest = run
        buffer = .allocate(capacity: min(capacity, run.count))
    }

    deinit { buffer.deallocate() }

    func next() throws(SnapshotError) -> IndexEntry? {
        if position == filled {
            if rest.isEmpty { return nil }
            filled = min(buffer.count, rest.count)
            position = 0
            let target = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<filled]))
            try file.read(into: target, at: rest.lowerBound * SnapshotFormat.entryLength)
            rest = (rest.lowerBound + filled)..<rest.upperBound
        }
        defer { position += 1 }
        return buffer[position]
    }
}

/// A binary heap of runs, the one with the least entry on top.
private struct RunMerge {
    private var heap: [(entry: IndexEntry, run: RunReader)] = []

    init(_ runs: [RunReader]) throws(SnapshotError) {
        for run in runs {
            if let entry = try run.next() { heap.append((entry, run)) }
        }
        for position in (0..<(heap.count / 2)).reversed() { sink(position) }
    }

    var least: IndexEntry? { heap.first?.entry }

    /// Leaves ``least`` behind.
    mutating func advance() throws(SnapshotError) {
        if let entry = try heap[0].run.next() {
            heap[0].entry = entry
        } else {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
        }
        sink(0)
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var child = 2 * parent + 1
            if child >= heap.count { return }
            if child + 1 < heap.count, IndexEntry.precedes(heap[child + 1].entry, heap[child].entry) { child += 1 }
            if !IndexEntry.precedes(heap[child].entry, heap[parent].entry) { return }
            heap.swapAt(parent, child)
            parent = child
        }
    }
}
