// SPDX-License-Identifier: Apache-2.0

/// Which tasks have no outcome: runs in id order, a bit a task (S14). 72 bytes a run of up to 64 tasks.
///
/// Ids are given out in commit order, so that new runs always go to the end and a task is found by binary search.
struct LiveTable: Sendable {
    private(set) var runs: [LiveTasks.Run] = []
    /// Tasks without an outcome.
    private(set) var count = 0
    /// Runs without a live task, still in `runs`.
    private var deadRuns = 0
    /// Where the last task was found: children of a run tend to end together.
    private var lastHit = 0

    mutating func append(_ run: SpawnRun, live: UInt64? = nil) {
        let bits = live ?? run.allBits
        assert(runs.last.map { $0.run.firstID.rawValue + UInt64($0.run.count) <= run.firstID.rawValue } ?? true)
        runs.append(LiveTasks.Run(run: run, live: bits))
        count += bits.nonzeroBitCount
        if bits == 0 { deadRuns += 1 }
    }

    /// The payloads of a run were written once more, elsewhere. Of a run that is gone there is nothing to say.
    mutating func relocate(_ run: SpawnRun) {
        guard let index = find(run.firstID.rawValue), runs[index].run.firstID == run.firstID,
            runs[index].run.count == run.count
        else { return }
        runs[index].run.segment = run.segment
        runs[index].run.frameOffset = run.frameOffset
        runs[index].run.recordOffset = run.recordOffset
        runs[index].run.payloadBytes = run.payloadBytes
    }

    func contains(_ task: TaskID) -> Bool {
        guard let index = search(task.rawValue) else { return false }
        return runs[index].live & bit(of: task, in: index) != 0
    }

    /// The run that a live task belongs to.
    func run(of task: TaskID) -> LiveTasks.Run? {
        guard let index = search(task.rawValue), runs[index].live & bit(of: task, in: index) != 0 else { return nil }
        return runs[index]
    }

    /// Whether a task is live and the batch under way does not end it.
    func isUntouched(_ task: TaskID) -> Bool {
        guard let index = search(task.rawValue) else { return false }
        return runs[index].live & ~runs[index].ending & bit(of: task, in: index) != 0
    }

    /// Marks a task that the batch under way ends. Returns its run, or nil when it is not live or marked already.
    ///
    /// For all who ask it stays live until ``end(_:)``: the batch may still fail.
    mutating func mark(_ task: TaskID) -> SpawnRun? {
        guard let index = find(task.rawValue) else { return nil }
        let bit = bit(of: task, in: index)
        guard runs[index].live & ~runs[index].ending & bit != 0 else { return nil }
        runs[index].ending |= bit
        return runs[index].run
    }

    /// Takes ``mark(_:)`` back. Returns the task's run.
    @discardableResult
    mutating func unmark(_ task: TaskID) -> SpawnRun? {
        guard let index = find(task.rawValue) else { return nil }
        runs[index].ending &= ~bit(of: task, in: index)
        return runs[index].run
    }

    /// A live task has got its outcome.
    mutating func end(_ task: TaskID) {
        guard let index = find(task.rawValue) else { return }
        let bit = bit(of: task, in: index)
        guard runs[index].live & bit != 0 else { return }
        runs[index].live &= ~bit
        runs[index].ending &= ~bit
        count -= 1
        if runs[index].live == 0 { deadRuns += 1 }
    }

    /// Drops runs without live tasks once they are the larger part: amortized O(1) an ended run.
    mutating func compactIfWorthwhile() {
        guard deadRuns > 64, deadRuns * 2 > runs.count else { return }
        runs.removeAll { $0.live == 0 }
        deadRuns = 0
        lastHit = 0
        // An emptied wave should not hold on to the memory of its peak.
        if runs.capacity > 1024, runs.count * 4 < runs.capacity { runs = Array(runs[...]) }
    }

    private func bit(of task: TaskID, in index: Int) -> UInt64 {
        1 << (task.rawValue - runs[index].run.firstID.rawValue)
    }

    private mutating func find(_ task: UInt64) -> Int? {
        if lastHit < runs.count, holds(lastHit, task) { return lastHit }
        guard let index = search(task) else { return nil }
        lastHit = index
        return index
    }

    private func holds(_ index: Int, _ task: UInt64) -> Bool {
        let run = runs[index].run
        return task >= run.firstID.rawValue && task - run.firstID.rawValue < UInt64(run.count)
    }

    private func search(_ task: UInt64) -> Int? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].run.firstID.rawValue <= task { low = middle + 1 } else { high = middle }
        }
        return low > 0 && holds(low - 1, task) ? low - 1 : nil
    }
}
