// SPDX-License-Identifier: Apache-2.0

/// Numbers found by the keys of what they stand for: live tasks, or the tasks of a stage. 12 bytes a place, of which
/// half to seven eighths are taken.
///
/// It holds 32 bits of each key and not the key. So whoever looks something up says which of the numbers it is, and is
/// asked about a wrong one once in some million times.
///
/// It is in shards: a change after a copy (a checkpoint's) copies one shard, and two indexes are compared or merged
/// shard by shard, which processor caches hold.
struct KeyIndex: Sendable {
    private static let shardCount = 256

    private var shards: [KeyShard] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// What it takes in memory, in bytes.
    var footprint: Int { shards.reduce(shards.footprint) { $0 + $1.footprint } }

    /// The number that a key stands for: the first with the same bits that `isMeant` takes.
    func first(for key: TaskKey, where isMeant: (UInt64) -> Bool) -> UInt64? {
        guard count > 0 else { return nil }
        var probe = KeyShard.Probe(key)
        while let number = shards[Self.shard(of: key)].next(&probe) {
            if isMeant(number) { return number }
        }
        return nil
    }

    /// Adds a number whose key no other one has.
    mutating func insert(_ number: UInt64, for key: TaskKey) {
        if shards.isEmpty { shards = Array(repeating: KeyShard(), count: Self.shardCount) }
        shards[Self.shard(of: key)].insert(number, hash: KeyShard.hash(of: key))
        count += 1
    }

    /// Removes a number, which is in it with that key or not at all.
    mutating func remove(_ number: UInt64, for key: TaskKey) {
        guard count > 0, shards[Self.shard(of: key)].remove(number, hash: KeyShard.hash(of: key)) else { return }
        count -= 1
        if count == 0 { shards = [] }
    }

    /// Calls `body` with a number of each for all pairs that may have the same key. O(the smaller one).
    func forEachMatch(in other: KeyIndex, _ body: (_ mine: UInt64, _ others: UInt64) -> Void) {
        guard count > 0, other.count > 0 else { return }
        for (mine, others) in zip(shards, other.shards) { mine.forEachMatch(in: others, body) }
    }

    /// Takes over the numbers of another one, as `number` translates them. O(the other one).
    ///
    /// - Parameters:
    ///   - translate: what a number is here; nil leaves it out.
    ///   - isReplaced: whether the translated number takes the place of one that is here with the same bits, and with
    ///     the same key.
    mutating func merge(
        _ other: KeyIndex, translate: (UInt64) -> UInt64?, isReplaced: (_ old: UInt64, _ by: UInt64) -> Bool
    ) {
        guard other.count > 0 else { return }
        if shards.isEmpty { shards = Array(repeating: KeyShard(), count: Self.shardCount) }
        for index in shards.indices {
            count += shards[index].merge(other.shards[index], translate: translate, isReplaced: isReplaced)
        }
    }

    private static func shard(of key: TaskKey) -> Int { Int(truncatingIfNeeded: key.first % UInt64(shardCount)) }
}

/// An open table with linear probing. A key is as good as random, so that bits of it are its hash; since they are all
/// that it takes to place an entry, the table grows and closes gaps without asking for keys.
struct KeyShard: Sendable {
    /// In three words, so that it takes 12 bytes. The number is 0 in a free place, else one more than what it says.
    private struct Entry: BitwiseCopyable {
        var hash: UInt32
        private var low: UInt32
        private var high: UInt32

        static let free = Entry(hash: 0, low: 0, high: 0)

        init(_ number: UInt64, hash: UInt32) {
            let stored = number + 1
            self.init(
                hash: hash, low: UInt32(truncatingIfNeeded: stored), high: UInt32(truncatingIfNeeded: stored >> 32))
        }

        private init(hash: UInt32, low: UInt32, high: UInt32) {
            self.hash = hash
            self.low = low
            self.high = high
        }

        var isFree: Bool { low | high == 0 }
        var number: UInt64 { (UInt64(high) << 32 | UInt64(low)) - 1 }
    }

    /// Where a look-up is.
    struct Probe {
        fileprivate let hash: UInt32
        fileprivate var steps = 0

        init(_ key: TaskKey) { hash = KeyShard.hash(of: key) }
        fileprivate init(hash: UInt32) { self.hash = hash }
    }

    private static let smallest = 8

    private var entries: [Entry] = []
    private var count = 0

    var footprint: Int { entries.footprint }

    static func hash(of key: TaskKey) -> UInt32 { UInt32(truncatingIfNeeded: key.second) }

    /// The next number with the hash of a probe.
    func next(_ probe: inout Probe) -> UInt64? {
        guard count > 0 else { return nil }
        let mask = entries.count - 1
        while true {
            let entry = entries[(Int(probe.hash) + probe.steps) & mask]
            if entry.isFree { return nil }
            probe.steps += 1
            if entry.hash == probe.hash { return entry.number }
        }
    }

    mutating func insert(_ number: UInt64, hash: UInt32) {
        reserve(count + 1)
        put(Entry(number, hash: hash))
        count += 1
    }

    /// - Returns: whether it was there.
    mutating func remove(_ number: UInt64, hash: UInt32) -> Bool {
        guard let place = place(of: number, hash: hash) else { return false }
        closeGap(at: place)
        count -= 1
        if entries.count > Self.smallest, 8 * count < entries.count { resize(to: entries.count / 4) }
        return true
    }

    func forEachMatch(in other: KeyShard, _ body: (_ mine: UInt64, _ others: UInt64) -> Void) {
        if count > other.count {
            other.forEachMatch(in: self) { body($1, $0) }
            return
        }
        for entry in entries where !entry.isFree {
            var probe = Probe(hash: entry.hash)
            while let number = other.next(&probe) { body(entry.number, number) }
        }
    }

    /// - Returns: how many more it has.
    mutating func merge(
        _ other: KeyShard, translate: (UInt64) -> UInt64?, isReplaced: (_ old: UInt64, _ by: UInt64) -> Bool
    ) -> Int {
        let before = count
        reserve(count + other.count)
        for entry in other.entries where !entry.isFree {
            guard let number = translate(entry.number) else { continue }
            var probe = Probe(hash: entry.hash)
            while let old = next(&probe) {
                guard isReplaced(old, number), let place = place(of: old, hash: entry.hash) else { continue }
                closeGap(at: place)
                count -= 1
                break
            }
            put(Entry(number, hash: entry.hash))
            count += 1
        }
        return count - before
    }

    // MARK: Places

    private func place(of number: UInt64, hash: UInt32) -> Int? {
        guard count > 0 else { return nil }
        let mask = entries.count - 1
        var place = Int(hash) & mask
        while !entries[place].isFree {
            if entries[place].hash == hash, entries[place].number == number { return place }
            place = (place + 1) & mask
        }
        return nil
    }

    private mutating func put(_ entry: Entry) {
        let mask = entries.count - 1
        var place = Int(entry.hash) & mask
        while !entries[place].isFree { place = (place + 1) & mask }
        entries[place] = entry
    }

    /// Moves back what was pushed on by the entry that goes, so that no look-up meets a gap (D. E. Knuth, The Art of
    /// Computer Programming, vol. 3, 6.4, algorithm R).
    private mutating func closeGap(at place: Int) {
        let mask = entries.count - 1
        var gap = place
        var next = (place + 1) & mask
        while !entries[next].isFree {
            let home = Int(entries[next].hash) & mask
            if (next - home) & mask >= (next - gap) & mask {
                entries[gap] = entries[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        entries[gap] = .free
    }

    /// Makes room, so that an eighth of the places stays free.
    private mutating func reserve(_ count: Int) {
        var size = max(entries.count, Self.smallest)
        while 8 * count > 7 * size { size *= 2 }
        if size > entries.count { resize(to: size) }
    }

    private mutating func resize(to size: Int) {
        let old = entries
        entries = Array(repeating: .free, count: max(size, Self.smallest))
        for entry in old where !entry.isFree { put(entry) }
    }
}
