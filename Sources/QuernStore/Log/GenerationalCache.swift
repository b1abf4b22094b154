// SPDX-License-Identifier: Apache-2.0

/// Keeps about what was used last. Two generations: when the young one has half of the capacity it becomes the old one,
/// and the old one goes. Each step is O(1), and what is used stays.
struct GenerationalCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry {
        var value: Value
        var cost: Int
    }

    private let capacity: Int
    private var young: [Key: Entry] = [:]
    private var old: [Key: Entry] = [:]
    private var youngCost = 0

    /// - Parameter capacity: what is kept costs at most so much, and what one value more does.
    init(capacity: Int) { self.capacity = capacity }

    mutating func insert(_ value: Value, at key: Key, cost: Int) { insert(Entry(value: value, cost: cost), at: key) }

    private mutating func insert(_ entry: Entry, at key: Key) {
        if let replaced = young.updateValue(entry, forKey: key) { youngCost -= replaced.cost }
        youngCost += entry.cost
        guard youngCost > capacity / 2 else { return }
        old = young
        young = [:]
        youngCost = 0
    }

    mutating func find(_ key: Key) -> Value? {
        if let entry = young[key] { return entry.value }
        guard let entry = old[key] else { return nil }
        insert(entry, at: key)
        return entry.value
    }

    mutating func forget(where isForgotten: (Key) -> Bool) {
        old = old.filter { !isForgotten($0.key) }
        for (key, entry) in young where isForgotten(key) {
            youngCost -= entry.cost
            young[key] = nil
        }
    }
}
