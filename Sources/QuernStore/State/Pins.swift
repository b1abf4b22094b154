// SPDX-License-Identifier: Apache-2.0

/// Trees that retention leaves alone, by tasks in them, and how often each was pinned. Not durable.
struct Pins: Sendable {
    /// Of ended tasks that are or were parents, and may be below another one.
    private var parents: [TaskID: Int] = [:]
    private var roots: [TaskID: Int] = [:]

    /// Pins the tree of a root task, live or ended.
    mutating func pin(root: TaskID) { roots[root, default: 0] += 1 }

    /// Pins the tree that an ended parent is in.
    ///
    /// - Returns: whether nobody did before.
    mutating func pin(endedParent parent: TaskID) -> Bool {
        parents[parent, default: 0] += 1
        return parents[parent] == 1
    }

    mutating func unpin(_ pin: TreePin) {
        switch pin {
        case .root(let task): Self.takeOne(of: task, from: &roots)
        case .endedParent(let task): Self.takeOne(of: task, from: &parents)
        }
    }

    private static func takeOne(of task: TaskID, from counts: inout [TaskID: Int]) {
        guard let count = counts[task] else { return }
        counts[task] = count > 1 ? count - 1 : nil
    }

    func contains(root: TaskID) -> Bool { roots[root] != nil }

    /// The roots of the pinned trees. One pass over the directories when an ended parent is pinned.
    func allRoots(_ contents: IndexContents) throws(StoreError) -> Set<TaskID> {
        var all = Set(roots.keys)
        if parents.isEmpty { return all }
        // Those that are roots themselves are among what they are the parents of.
        try contents.forEachEntry { entry, _ in
            if parents[TaskID(entry.parent)] != nil { all.insert(TaskID(entry.root)) }
        }
        return all
    }
}

/// What ``MemoStore/pinTrees(of:)`` pinned.
package enum TreePin: Sendable, Hashable {
    case root(TaskID)
    /// The root of whose tree is looked up by whoever drops trees.
    case endedParent(TaskID)
}
