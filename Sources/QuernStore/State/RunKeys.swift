// SPDX-License-Identifier: Apache-2.0

/// The keys of live tasks, by the runs that the tasks are of: 16 bytes a task, and some 70 a run.
struct RunKeys: Sendable {
    private struct Keys: Sendable {
        /// Of the run's tasks, which have a key in `keys`, in order.
        var stored: UInt64
        /// Which of these still have it.
        var held: UInt64
        var keys: [TaskKey]

        func index(of bit: UInt64) -> Int { (stored & (bit - 1)).nonzeroBitCount }

        /// Leaves out the keys that are not held.
        mutating func compact() {
            var rest: [TaskKey] = []
            rest.reserveCapacity(held.nonzeroBitCount)
            forEach { rest.append($1) }
            keys = rest
            stored = held
        }

        func forEach(_ body: (_ index: Int, TaskKey) -> Void) {
            var bits = held
            while bits != 0 {
                let bit = bits & ~(bits - 1)
                body(bit.trailingZeroBitCount, keys[index(of: bit)])
                bits ^= bit
            }
        }
    }

    /// By the first ids.
    private var runs = TaskMap<Keys>()
    private var bytes = 0
    /// How many tasks have a key.
    private(set) var count = 0

    /// What they take in memory, in bytes. O(runs / 100).
    var footprint: Int { runs.footprint + bytes }

    /// In the order of the ids.
    var all: some Sequence<(key: TaskID, value: TaskKey)> {
        runs.lazy.flatMap { run in
            var all: [(key: TaskID, value: TaskKey)] = []
            run.value.forEach { all.append((TaskID(run.key.rawValue + UInt64($0)), $1)) }
            return all
        }
    }

    /// O(log runs).
    subscript(task: TaskID) -> TaskKey? {
        guard let (firstID, run) = runs.last(notBehind: task) else { return nil }
        let bit = Self.bit(of: task, from: firstID)
        return run.held & bit == 0 ? nil : run.keys[run.index(of: bit)]
    }

    /// Keeps the keys of a run that has none yet.
    ///
    /// - Parameters:
    ///   - keys: one for each task of the run.
    ///   - present: a bit for each task that exists.
    mutating func insert(_ keys: [TaskKey], present: UInt64, of firstID: TaskID) {
        let all = keys.count == 64 ? UInt64.max : 1 << UInt64(keys.count) - 1
        var run = Keys(stored: all, held: present & all, keys: keys)
        guard run.held != 0 else { return }
        if run.held != all { run.compact() }
        count += run.held.nonzeroBitCount
        bytes += run.keys.footprint
        runs[firstID] = run
    }

    /// Gives a key to a task of a run; the task has none.
    mutating func insert(_ key: TaskKey, of task: TaskID, inRunFrom firstID: TaskID) {
        count += 1
        let bit = Self.bit(of: task, from: firstID)
        bytes += runs.modify(firstID, default: Keys(stored: 0, held: 0, keys: [])) { run in
            let before = run.keys.footprint
            if run.stored & bit != 0 {
                run.keys[run.index(of: bit)] = key
            } else {
                run.keys.insert(key, at: run.index(of: bit))
                run.stored |= bit
            }
            run.held |= bit
            return run.keys.footprint - before
        }
    }

    /// Amortized O(log runs).
    @discardableResult
    mutating func remove(_ task: TaskID) -> TaskKey? {
        var emptied: TaskID?
        let removed = runs.modifyLast(notBehind: task) { firstID, run -> (key: TaskKey, bytes: Int)? in
            let bit = Self.bit(of: task, from: firstID)
            guard run.held & bit != 0 else { return nil }
            let key = run.keys[run.index(of: bit)]
            run.held &= ~bit
            if run.held == 0 {
                emptied = firstID
                return (key, -run.keys.footprint)
            }
            // What is left takes half of the room or less.
            guard run.stored.nonzeroBitCount > 8, 2 * run.held.nonzeroBitCount <= run.stored.nonzeroBitCount else {
                return (key, 0)
            }
            let before = run.keys.footprint
            run.compact()
            return (key, run.keys.footprint - before)
        }
        guard let removed = removed ?? nil else { return nil }
        if let emptied { runs.removeValue(forKey: emptied) }
        count -= 1
        bytes += removed.bytes
        return removed.key
    }

    /// No bit for a task behind the run.
    private static func bit(of task: TaskID, from firstID: TaskID) -> UInt64 { 1 << (task.rawValue - firstID.rawValue) }
}
