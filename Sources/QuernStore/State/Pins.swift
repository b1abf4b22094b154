// SPDX-License-Identifier: Apache-2.0

/// Trees that retention leaves alone, by tasks in them, and how often each was pinned. Not durable.
struct Pins: Sendable {
    /// Of ended tasks that are or were parents, and may be below another one.
    private var parents: [TaskID: Int] = [:]
    private var roots: [TaskID: Int] = [:]
    private(set) var made = Made()

    /// How many pins there have been.
    struct Made: Sendable, Equatable {
        /// Of ended parents that nobody had pinned: by them it cannot be told which roots they pin.
        var parents: UInt64 = 0
        var all: UInt64 = 0
    }

    /// Pins the tree of a root task, live or ended.
    mutating func pin(root: TaskID) {
        made.all += 1
        roots[root, default: 0] += 1
    }

    /// Pins the tree that an ended parent is in.
    mutating func pin(endedParent parent: TaskID) {
        made.all += 1
        if parents[parent] == nil { made.parents += 1 }
        parents[parent, default: 0] += 1
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
    ///
    /// - Throws: also when one of them may be in a directory that is damaged.
    func allRoots(_ contents: IndexContents) throws(StoreError) -> Set<TaskID> {
        var all = Set(roots.keys)
        if parents.isEmpty { return all }
        // Those that are roots themselves are among what they are the parents of.
        var found: Set<TaskID> = []
        let isComplete = try contents.forEachEntry { entry, _ in
            let parent = TaskID(entry.parent)
            guard parents[parent] != nil else { return }
            found.insert(parent)
            all.insert(TaskID(entry.root))
        }
        guard isComplete || found.count == parents.count else {
            throw StoreError(
                .damaged, "what live tasks need may be below any root: a directory of the index is damaged")
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
