// SPDX-License-Identifier: Apache-2.0

/// Which live task has which key. Nothing for tasks without one.
///
/// It is in shards, so that a change after a copy (a checkpoint's) copies one shard.
struct KeyTable: Sendable {
    private static let shardCount = 256

    private var shards: [[TaskKey: TaskID]] = []
    private var keys = TaskMap<TaskKey>()

    var isEmpty: Bool { keys.isEmpty }

    /// What it takes in memory, in bytes. O(count / 100).
    var footprint: Int {
        shards.reduce(keys.footprint) { $0 + $1.capacity * MemoryLayout<(TaskKey, TaskID)>.stride }
    }

    /// By task, in the order of the ids.
    var all: some Sequence<(key: TaskID, value: TaskKey)> { keys }

    /// The live task that has a key. O(1).
    func task(for key: TaskKey) -> TaskID? { shards.isEmpty ? nil : shards[Self.shard(of: key)][key] }

    /// The key that a live task has. O(log count).
    func key(of task: TaskID) -> TaskKey? { keys[task] }

    /// Gives a key to a task, which has none; whoever has it loses it.
    mutating func give(_ key: TaskKey, to task: TaskID) {
        if shards.isEmpty { shards = Array(repeating: [:], count: Self.shardCount) }
        let holder = shards[Self.shard(of: key)].updateValue(task, forKey: key)
        if let holder, holder != task { keys.removeValue(forKey: holder) }
        keys[task] = key
    }

    /// The task has ended: its key is free.
    mutating func remove(_ task: TaskID) {
        guard !keys.isEmpty, let key = keys.removeValue(forKey: task) else { return }
        shards[Self.shard(of: key)][key] = nil
    }

    private static func shard(of key: TaskKey) -> Int { Int(truncatingIfNeeded: key.first % UInt64(shardCount)) }
}
