// SPDX-License-Identifier: Apache-2.0

/// Children that the batch under way ends and spawns, by parent: its later transactions are checked as if its earlier
/// ones were applied.
struct ParentTally: Sendable {
    struct Counts: Sendable {
        /// Children that end.
        var ending: UInt64 = 0
        /// Children that are spawned.
        var arriving: UInt64 = 0
    }

    private var parents: [TaskID: Int] = [:]
    private var counts: [Counts] = []
    /// Most operations are about the parent of the one before.
    private var last = (parent: TaskID.none, index: -1)

    subscript(_ parent: TaskID) -> Counts {
        if last.index >= 0, last.parent == parent { return counts[last.index] }
        // Most batches are about one parent alone, whose children are asked for here.
        guard counts.count > 1, let index = parents[parent] else { return Counts() }
        return counts[index]
    }

    mutating func end(under parent: TaskID) { counts[index(of: parent)].ending += 1 }

    /// Takes ``end(under:)`` back.
    mutating func revive(under parent: TaskID) { counts[index(of: parent)].ending -= 1 }

    mutating func arrive(_ children: UInt64, under parent: TaskID) { counts[index(of: parent)].arriving += children }

    private mutating func index(of parent: TaskID) -> Int {
        if last.index >= 0, last.parent == parent { return last.index }
        let index: Int
        if let known = parents[parent] {
            index = known
        } else {
            index = counts.count
            counts.append(Counts())
            parents[parent] = index
        }
        last = (parent, index)
        return index
    }
}
