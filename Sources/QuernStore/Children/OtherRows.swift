// SPDX-License-Identifier: Apache-2.0

/// The rows of a block that did not complete, where those that did are alike and need no row each: a few among many.
struct OtherRows: Sendable {
    struct Row: Sendable, BitwiseCopyable {
        /// Its place in the block.
        var index: UInt32
        /// Where its error is among the errors, and how long it is.
        var offset: UInt32
        var length: UInt32
        var label: UInt32
        var kind: OutcomeKind
    }

    /// 64 rows of the block: which of them are others, and how many others come before.
    private struct Word: Sendable, BitwiseCopyable {
        var bits: UInt64 = 0
        var before: UInt32 = 0
    }

    /// In the order of their indexes.
    private(set) var rows: [Row] = []
    private var words: [Word] = []

    var count: Int { rows.count }

    mutating func removeAll() {
        rows.removeAll(keepingCapacity: true)
        words.removeAll(keepingCapacity: true)
    }

    /// Adds a row behind the others. ``place(count:)`` makes it found.
    mutating func append(_ row: Row) { rows.append(row) }

    /// Leaves out what does not fulfil `isKept`.
    mutating func keep(_ isKept: (Row) -> Bool) { rows.removeAll { !isKept($0) } }

    /// Notes which of the `count` rows of the block are others.
    mutating func place(count: Int) {
        words.removeAll(keepingCapacity: true)
        if rows.isEmpty { return }
        words.append(contentsOf: repeatElement(Word(), count: (count + 63) / 64))
        for row in rows { words[Int(row.index >> 6)].bits |= 1 << UInt64(row.index & 63) }
        var before: UInt32 = 0
        for index in words.indices {
            words[index].before = before
            before += UInt32(words[index].bits.nonzeroBitCount)
        }
    }

    /// How many others come before a row of the block, and whether it is one itself. O(1).
    func place(of index: Int) -> (before: Int, isOther: Bool) {
        if rows.isEmpty { return (0, false) }
        let word = words[index >> 6]
        let bit = UInt64(index & 63)
        return (Int(word.before) + (word.bits & (1 << bit - 1)).nonzeroBitCount, word.bits >> bit & 1 == 1)
    }

    /// The row at an index of the block, when it is one of these.
    subscript(index: Int) -> Row? {
        let place = place(of: index)
        return place.isOther ? rows[place.before] : nil
    }

    /// Leaves out the first rows of the block, of which `count` are left. Returns how many others were among them.
    mutating func removeFirst(_ removed: Int, leaving count: Int) -> Int {
        let gone = rows.partition { $0.index >= removed }
        rows.removeFirst(gone)
        for index in rows.indices { rows[index].index -= UInt32(removed) }
        place(count: count)
        return gone
    }

    /// Turns the block's `count` rows round.
    mutating func reverse(count: Int) {
        rows.reverse()
        for index in rows.indices { rows[index].index = UInt32(count - 1) - rows[index].index }
        place(count: count)
    }
}
