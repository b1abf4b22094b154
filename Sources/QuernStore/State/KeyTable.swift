// SPDX-License-Identifier: Apache-2.0

/// Which live task has which key. Nothing for tasks without one; about 40 bytes for one that has a key.
///
/// It is in shards, so that a change after a copy (a checkpoint's) copies one shard.
struct KeyTable: Sendable {
    private static let shardCount = 256

    private var shards: [KeyShard] = []
    private var keys = TaskMap<TaskKey>()

    var isEmpty: Bool { keys.isEmpty }

    /// What it takes in memory, in bytes. O(count / 100).
    var footprint: Int { shards.reduce(keys.footprint) { $0 + $1.footprint } }

    /// By task, in the order of the ids.
    var all: some Sequence<(key: TaskID, value: TaskKey)> { keys }

    /// The live task that has a key. O(1), and O(log count) to be sure of it.
    func task(for key: TaskKey) -> TaskID? {
        shards.isEmpty ? nil : shards[Self.shard(of: key)].task(for: key) { keys[$0] }
    }

    /// The key that a live task has. O(log count).
    func key(of task: TaskID) -> TaskKey? { keys[task] }

    /// Gives a key to a task, which has none; whoever has it loses it.
    mutating func give(_ key: TaskKey, to task: TaskID) {
        if let holder = self.task(for: key) {
            if holder == task { return }
            remove(holder)
        }
        // Behind the removal, which leaves none when the holder's key was the only one.
        if shards.isEmpty { shards = Array(repeating: KeyShard(), count: Self.shardCount) }
        keys[task] = key
        shards[Self.shard(of: key)].insert(task, key) { [keys] in keys[$0] }
    }

    /// The task has ended: its key is free.
    mutating func remove(_ task: TaskID) {
        guard !keys.isEmpty, let key = keys.removeValue(forKey: task) else { return }
        if keys.isEmpty {
            shards = []
        } else {
            shards[Self.shard(of: key)].remove(task, key) { [keys] in keys[$0] }
        }
    }

    private static func shard(of key: TaskKey) -> Int { Int(truncatingIfNeeded: key.first % UInt64(shardCount)) }
}

/// The tasks that have keys of one shard, found by their keys: an open table with linear probing that holds the tasks
/// alone. A key is as good as random, so that it is its own hash; whether a task has it says ``KeyTable``, which is
/// asked only when three more bits of it agree.
struct KeyShard: Sendable {
    /// No place, a task with three bits of its key above the id, or the mark of one that was removed.
    private var places: [UInt64] = []
    private var tasks = 0
    /// Places that are not empty.
    private var used = 0

    private static let removed = UInt64.max
    private static let taskBits: UInt64 = (1 << 61) - 1
    private static let smallest = 8

    var footprint: Int { MemoryLayout<KeyShard>.stride + places.footprint }

    private static func entry(_ task: TaskID, _ key: TaskKey) -> UInt64 { task.rawValue | tag(of: key) }
    private static func tag(of key: TaskKey) -> UInt64 { key.second & ~taskBits }

    /// - Parameter keyOf: the key of a task that has one in this shard.
    func task(for key: TaskKey, keyOf: (TaskID) -> TaskKey?) -> TaskID? {
        guard tasks > 0 else { return nil }
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: key.second) & mask
        while places[place] != 0 {
            let entry = places[place]
            if entry & ~Self.taskBits == Self.tag(of: key), entry != Self.removed {
                let task = TaskID(entry & Self.taskBits)
                if keyOf(task) == key { return task }
            }
            place = (place + 1) & mask
        }
        return nil
    }

    /// Adds a task whose key nobody has.
    mutating func insert(_ task: TaskID, _ key: TaskKey, keyOf: (TaskID) -> TaskKey?) {
        if 8 * (used + 1) > 7 * places.count { rebuild(for: tasks + 1, except: task, keyOf) }
        put(Self.entry(task, key), key)
        tasks += 1
        used += 1
    }

    mutating func remove(_ task: TaskID, _ key: TaskKey, keyOf: (TaskID) -> TaskKey?) {
        guard tasks > 0 else { return }
        let entry = Self.entry(task, key)
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: key.second) & mask
        while places[place] != entry {
            if places[place] == 0 { return }
            place = (place + 1) & mask
        }
        tasks -= 1
        places[place] = Self.removed
        // Where nothing follows nobody has to look further, nor from the removed ones before it.
        while places[place] == Self.removed, places[(place + 1) & mask] == 0 {
            places[place] = 0
            used -= 1
            place = (place + mask) & mask
        }
        if places.count > Self.smallest, 8 * tasks < places.count { rebuild(for: tasks, except: nil, keyOf) }
    }

    private mutating func put(_ entry: UInt64, _ key: TaskKey) {
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: key.second) & mask
        while places[place] != 0 { place = (place + 1) & mask }
        places[place] = entry
    }

    /// Makes a table in which half of the places or more are free.
    private mutating func rebuild(for count: Int, except new: TaskID?, _ keyOf: (TaskID) -> TaskKey?) {
        let old = places
        var size = Self.smallest
        while size < 2 * count { size *= 2 }
        places = count == 0 ? [] : Array(repeating: 0, count: size)
        used = tasks
        for entry in old where entry != 0 && entry != Self.removed {
            guard let key = keyOf(TaskID(entry & Self.taskBits)) else { continue }
            put(entry, key)
        }
    }
}
