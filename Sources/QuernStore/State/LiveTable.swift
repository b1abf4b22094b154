// SPDX-License-Identifier: Apache-2.0

/// Which tasks have no outcome: runs in id order, a bit a task (S14). 72 bytes a run of up to 64 tasks.
///
/// Ids are given out in commit order, so that new runs always go to the end and a task is found by binary search. The
/// runs are in chunks, so that a change after a copy (a checkpoint's) copies one chunk, and so does leaving out runs
/// that have ended.
struct LiveTable: Sendable {
    private struct Chunk: Sendable {
        /// The first id in it, or one before that.
        var firstID: UInt64
        var runs: [LiveTasks.Run] = []
        /// Runs without a live task.
        var deadRuns = 0

        /// Whether leaving out the dead runs is worth a pass over all of them.
        var isSparse: Bool { deadRuns == runs.count || deadRuns > 8 && deadRuns * 2 > runs.count }
    }

    private struct Place: Sendable {
        var chunk: Int
        var run: Int
    }

    private static let chunkRuns = 256

    private var chunks: [Chunk] = []
    /// Tasks without an outcome.
    private(set) var count = 0
    /// Chunks that became sparse since the last compaction.
    private var sparse: Set<Int> = []
    /// Where the last task was found: children of a run tend to end together.
    private var lastHit = Place(chunk: 0, run: 0)

    /// What it takes in memory, in bytes. O(runs / 100).
    var footprint: Int { chunks.reduce(0) { $0 + $1.runs.footprint + MemoryLayout<Chunk>.stride } }

    /// The id behind those of the last run; 0 when there is none.
    var endID: UInt64 { runs.last.map { $0.lastID + 1 } ?? 0 }

    /// In id order. Some may have no live task any more.
    var runs: some BidirectionalCollection<LiveTasks.Run> { chunks.lazy.flatMap(\.runs) }

    mutating func append(_ run: SpawnRun, live: UInt64? = nil) {
        let bits = live ?? run.allBits
        assert(runs.last.map { $0.run.firstID.rawValue + UInt64($0.run.count) <= run.firstID.rawValue } ?? true)
        if chunks.isEmpty || chunks[chunks.count - 1].runs.count >= Self.chunkRuns {
            chunks.append(Chunk(firstID: run.firstID.rawValue))
        }
        chunks[chunks.count - 1].runs.append(LiveTasks.Run(run: run, live: bits))
        count += bits.nonzeroBitCount
        if bits == 0 { noteDeadRun(in: chunks.count - 1) }
    }

    /// Takes a run in anywhere, for those who salvage. Returns false when some of its ids are taken.
    mutating func insert(_ run: SpawnRun, live bits: UInt64) -> Bool {
        let firstID = run.firstID.rawValue
        let chunk = max((0..<chunks.count).partition { chunks[$0].firstID > firstID } - 1, 0)
        if chunks.isEmpty || chunk == chunks.count - 1, chunks.last?.runs.last.map({ $0.lastID < firstID }) ?? true {
            append(run, live: bits)
            chunks[chunks.count - 1].firstID = min(chunks[chunks.count - 1].firstID, firstID)
            return true
        }
        let runs = chunks[chunk].runs
        let index = (0..<runs.count).partition { runs[$0].run.firstID.rawValue > firstID }
        let entry = LiveTasks.Run(run: run, live: bits)
        let next = index < runs.count ? runs[index] : chunks[(chunk + 1)...].lazy.compactMap(\.runs.first).first
        guard index == 0 || runs[index - 1].lastID < firstID,
            next.map({ entry.lastID < $0.run.firstID.rawValue }) ?? true
        else { return false }
        chunks[chunk].runs.insert(entry, at: index)
        chunks[chunk].firstID = min(chunks[chunk].firstID, firstID)
        // Where a chunk begins may be before its first run.
        for index in (chunk + 1)..<chunks.count where chunks[index].firstID <= entry.lastID {
            chunks[index].firstID = entry.lastID + 1
        }
        count += bits.nonzeroBitCount
        if bits == 0 { noteDeadRun(in: chunk) }
        if runs.count >= 2 * Self.chunkRuns { split(chunk) }
        lastHit = Place(chunk: 0, run: 0)
        return true
    }

    private mutating func split(_ index: Int) {
        let runs = chunks[index].runs
        chunks.remove(at: index)
        for half in [runs[(runs.count / 2)...], runs[..<(runs.count / 2)]] {
            chunks.insert(
                Chunk(
                    firstID: half[half.startIndex].run.firstID.rawValue, runs: Array(half),
                    deadRuns: half.count { $0.live == 0 }), at: index)
        }
        sparse = Set(chunks.indices.filter { chunks[$0].isSparse })
    }

    /// The payloads of a run were written once more, elsewhere. Of a run that is gone there is nothing to say.
    mutating func relocate(_ run: SpawnRun) {
        _ = withRun(of: run.firstID) { entry, _ -> Bool? in
            guard entry.run.firstID == run.firstID, entry.run.count == run.count else { return nil }
            entry.run.segment = run.segment
            entry.run.frameOffset = run.frameOffset
            entry.run.recordOffset = run.recordOffset
            entry.run.payloadBytes = run.payloadBytes
            return true
        }
    }

    func contains(_ task: TaskID) -> Bool { run(of: task) != nil }

    /// The run that a live task belongs to.
    func run(of task: TaskID) -> LiveTasks.Run? {
        guard let place = search(task.rawValue) else { return nil }
        let entry = chunks[place.chunk].runs[place.run]
        return entry.live & entry.bit(of: task) != 0 ? entry : nil
    }

    /// The run that a task, live or not, belongs to; nil when that is gone.
    func entry(ofRunWith task: TaskID) -> LiveTasks.Run? {
        search(task.rawValue).map { chunks[$0.chunk].runs[$0.run] }
    }

    /// Whether a task is live and the batch under way does not end it.
    func isUntouched(_ task: TaskID) -> Bool {
        guard let entry = run(of: task) else { return false }
        return entry.ending & entry.bit(of: task) == 0
    }

    /// Marks a task that the batch under way ends. Returns its run, or nil when it is not live or marked already.
    ///
    /// For all who ask it stays live until ``end(_:)``: the batch may still fail.
    mutating func mark(_ task: TaskID) -> SpawnRun? {
        withRun(of: task) { entry, bit in
            guard entry.live & ~entry.ending & bit != 0 else { return nil }
            entry.ending |= bit
            return entry.run
        }
    }

    /// Takes ``mark(_:)`` back. Returns the task's run.
    @discardableResult
    mutating func unmark(_ task: TaskID) -> SpawnRun? {
        withRun(of: task) { entry, bit in
            entry.ending &= ~bit
            return entry.run
        }
    }

    /// A live task has got its outcome. Returns its run, and whether no task of that is live any more; nil, and does
    /// nothing, when it was not live.
    @discardableResult
    mutating func end(_ task: TaskID) -> (run: TaskID, parent: TaskID, isLast: Bool)? {
        let ended = withRun(of: task) { entry, bit -> (run: TaskID, parent: TaskID, isLast: Bool)? in
            guard entry.live & bit != 0 else { return nil }
            entry.live &= ~bit
            entry.ending &= ~bit
            return (entry.run.firstID, entry.run.parent, entry.live == 0)
        }
        guard let ended else { return nil }
        count -= 1
        if ended.isLast { noteDeadRun(in: lastHit.chunk) }
        return ended
    }

    /// Drops runs without live tasks where they are the larger part: amortized O(1) an ended run.
    mutating func compactIfWorthwhile() {
        guard !sparse.isEmpty else { return }
        // From the end: what is before a chunk stays where it is.
        for index in sparse.sorted(by: >) { compact(index) }
        sparse.removeAll()
        lastHit = Place(chunk: 0, run: 0)
    }

    private mutating func noteDeadRun(in chunk: Int) {
        chunks[chunk].deadRuns += 1
        if chunks[chunk].isSparse { sparse.insert(chunk) }
    }

    private mutating func compact(_ index: Int) {
        chunks[index].runs.removeAll { $0.live == 0 }
        chunks[index].deadRuns = 0
        let kept = chunks[index].runs.count
        // The last chunk stays: new runs use its memory again.
        if kept == 0, index < chunks.count - 1 {
            chunks.remove(at: index)
        } else if index > 0, chunks[index - 1].runs.count + kept <= Self.chunkRuns / 2 {
            chunks[index - 1].runs.append(contentsOf: chunks[index].runs)
            chunks.remove(at: index)
        }
    }

    /// Calls `body` with the run that holds a task, live or not, and the task's bit.
    private mutating func withRun<Value>(
        of task: TaskID, _ body: (inout LiveTasks.Run, _ bit: UInt64) -> Value?
    ) -> Value? {
        if !holds(lastHit, task.rawValue) {
            guard let place = search(task.rawValue) else { return nil }
            lastHit = place
        }
        let bit = chunks[lastHit.chunk].runs[lastHit.run].bit(of: task)
        return body(&chunks[lastHit.chunk].runs[lastHit.run], bit)
    }

    private func holds(_ place: Place, _ task: UInt64) -> Bool {
        guard place.chunk < chunks.count, place.run < chunks[place.chunk].runs.count else { return false }
        return chunks[place.chunk].runs[place.run].holds(task)
    }

    private func search(_ task: UInt64) -> Place? {
        let chunk = (0..<chunks.count).partition { chunks[$0].firstID > task } - 1
        guard chunk >= 0 else { return nil }
        let runs = chunks[chunk].runs
        let run = (0..<runs.count).partition { runs[$0].run.firstID.rawValue > task } - 1
        return run >= 0 && runs[run].holds(task) ? Place(chunk: chunk, run: run) : nil
    }
}

extension LiveTasks.Run {
    fileprivate func holds(_ task: UInt64) -> Bool {
        task >= run.firstID.rawValue && task - run.firstID.rawValue < UInt64(run.count)
    }

    fileprivate var lastID: UInt64 { run.firstID.rawValue + UInt64(run.count) - 1 }

    fileprivate func bit(of task: TaskID) -> UInt64 { 1 << (task.rawValue - run.firstID.rawValue) }
}
