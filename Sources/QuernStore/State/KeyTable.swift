// SPDX-License-Identifier: Apache-2.0

/// Which live task has which key. Nothing for tasks without one; about 35 bytes for one that has a key.
struct KeyTable: Sendable {
    private var keys = RunKeys()
    private var index = KeyIndex()

    var isEmpty: Bool { keys.count == 0 }

    /// What it takes in memory, in bytes. O(count / 1000).
    var footprint: Int { keys.footprint + index.footprint }

    /// By task, in the order of the ids.
    var all: some Sequence<(key: TaskID, value: TaskKey)> { keys.all }

    /// The live task that has a key. O(1), and O(log count) to be sure of it.
    func task(for key: TaskKey) -> TaskID? { index.first(for: key) { keys[TaskID($0)] == key }.map { TaskID($0) } }

    /// The key that a live task has. O(log count).
    func key(of task: TaskID) -> TaskKey? { keys[task] }

    /// The keys that tasks of a stage have too.
    func forEachKey(sharedWith staged: StagedKeys, _ body: (TaskKey) -> Void) {
        index.forEachMatch(in: staged.index) { task, position in
            if let key = keys[TaskID(task)], key == staged.key(at: position) { body(key) }
        }
    }

    /// Gives a key to a task of a run, which has none; whoever has it loses it.
    mutating func give(_ key: TaskKey, to task: TaskID, inRunFrom firstID: TaskID) {
        takeAway(key)
        keys.insert(key, of: task, inRunFrom: firstID)
        index.insert(task.rawValue, for: key)
    }

    /// Gives keys to the tasks of a run: of several that are the same the last one counts.
    ///
    /// - Parameters:
    ///   - keys: one for each task of the run, or none.
    ///   - present: a bit for each task that exists.
    mutating func give(_ keys: [TaskKey], to run: SpawnRun, present: UInt64) {
        if keys.isEmpty { return }
        self.keys.insert(keys, present: present, of: run.firstID)
        for (place, key) in keys.enumerated() where present & (1 << UInt64(place)) != 0 {
            let task = run.id(at: place)
            if let holder = index.first(for: key, where: { self.keys[TaskID($0)] == key }) { remove(TaskID(holder)) }
            index.insert(task.rawValue, for: key)
        }
    }

    /// Gives the keys of a stage to its tasks, which get the ids from `firstID` on.
    mutating func give(_ stage: StagedKeys, from firstID: UInt64, absent: AbsentPositions) {
        let isComplete = absent.isEmpty
        var losers: [TaskID] = []
        index.merge(stage.index) { position in
            isComplete || !absent.contains(position) ? firstID + position : nil
        } isReplaced: { old, new in
            guard old < firstID, let key = keys[TaskID(old)], key == stage.key(at: new - firstID) else {
                return false
            }
            losers.append(TaskID(old))
            return true
        }
        for task in losers { keys.remove(task) }
        for run in stage.runs {
            let bits = absent.bits(from: run.position, count: UInt8(run.keys.count))
            keys.insert(run.keys, present: ~bits, of: TaskID(firstID + run.position))
        }
    }

    /// The task has ended: its key is free.
    mutating func remove(_ task: TaskID) {
        guard !isEmpty, let key = keys.remove(task) else { return }
        index.remove(task.rawValue, for: key)
    }

    private mutating func takeAway(_ key: TaskKey) {
        if let holder = task(for: key) { remove(holder) }
    }
}
