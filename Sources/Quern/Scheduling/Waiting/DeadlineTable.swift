// SPDX-License-Identifier: Apache-2.0
import HeapModule
import QuernStore

/// When the time of tasks is over that have a time to live (T16). A plain state machine.
///
/// Memory follows the live tasks that have a deadline: an entry for those of a run that share one.
struct DeadlineTable: Sendable {
    private struct Entry: Comparable, Sendable {
        var due: Timestamp
        /// First come, first served among equals.
        var number: UInt64
        var firstID: TaskID
        var bits: UInt64

        static func < (left: Entry, right: Entry) -> Bool { (left.due, left.number) < (right.due, right.number) }
        static func == (left: Entry, right: Entry) -> Bool { left.number == right.number }
    }

    /// Those of tasks that have ended stay until there are too many of them.
    private var entries = Heap<Entry>()
    /// By the first id of a run, its tasks that have a deadline and no outcome.
    private var live: [TaskID: UInt64] = [:]
    private var liveCount = 0
    private var nextNumber: UInt64 = 0

    var isEmpty: Bool { live.isEmpty }

    /// When to look for tasks whose time is over.
    var nextDue: Timestamp? { entries.min?.due }

    /// Gives a deadline to those of the tasks that have none. O(log deadlines), amortized.
    mutating func add(_ bits: UInt64, of firstID: TaskID, due: Timestamp) {
        let known = live[firstID] ?? 0
        let new = bits & ~known
        guard new != 0 else { return }
        live[firstID] = known | new
        liveCount += new.nonzeroBitCount
        insert(Entry(due: due, number: 0, firstID: firstID, bits: new))
    }

    /// Tasks have ended. O(1), amortized.
    mutating func remove(_ bits: UInt64, of firstID: TaskID) {
        guard let known = live[firstID], known & bits != 0 else { return }
        live[firstID] = known & ~bits == 0 ? nil : known & ~bits
        liveCount -= (known & bits).nonzeroBitCount
        if liveCount == 0 { entries = Heap() }
    }

    /// The tasks whose time is over now, once each.
    mutating func takeDue(_ now: Timestamp) -> [TaskID] {
        var tasks: [TaskID] = []
        while let first = entries.min, first.due <= now {
            entries.removeMin()
            for index in BitIndexes(first.bits & (live[first.firstID] ?? 0)) {
                tasks.append(TaskID(first.firstID.rawValue + UInt64(index)))
            }
        }
        return tasks
    }

    /// A task that was taken as due is due again later, if it has not ended. O(log deadlines).
    mutating func putBack(_ task: TaskID, due: Timestamp) {
        for index in 0..<min(UInt64(SpawnRun.capacity), task.rawValue) {
            let firstID = TaskID(task.rawValue - index)
            guard let known = live[firstID], known & (1 << index) != 0 else { continue }
            return insert(Entry(due: due, number: 0, firstID: firstID, bits: 1 << index))
        }
    }

    private mutating func insert(_ entry: Entry) {
        nextNumber += 1
        var entry = entry
        entry.number = nextNumber
        entries.insert(entry)
        if entries.count > 2 * liveCount + 64 {
            entries = Heap(entries.unordered.filter { $0.bits & (live[$0.firstID] ?? 0) != 0 })
        }
    }
}
