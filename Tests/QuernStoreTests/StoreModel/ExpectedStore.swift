// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What a child's outcome must look like when it is read back.
struct ExpectedChild: Equatable, Sendable {
    var id: UInt64
    var kind: OutcomeKind
    var label: UInt32
    var attempts: UInt32
    var startedAt: Int64
    var endedAt: Int64
    var value: [UInt8]
    var attachment: [UInt8] = []
}

/// What a store must answer, kept in dictionaries. A value, so that what a crash may have undone can be had back.
struct ExpectedStore: Sendable {
    struct LiveTask: Hashable, Sendable {
        var parent: UInt64
        var label: UInt32
        var payload: [UInt8]
        var attributes: [UInt8] = []
        /// The name behind its key.
        var name: UInt64?
        var priority: UInt8 = 128
    }

    var live: [UInt64: LiveTask] = [:]
    /// Children without an outcome, those too whose ids are not known yet.
    var liveChildren: [UInt64: Int] = [:]
    /// Which live task has the key of a name; 0 while its id is not known.
    var holders: [UInt64: UInt64] = [:]
    var details: [UInt64: LiveTasks.Detail] = [:]
    /// What live tasks have in their slots, and the named values.
    var kept: [UInt64: [UInt8: [UInt8]]] = [:]
    var values: [String: [UInt8]] = [:]
    var ended: [UInt64: [ExpectedChild]] = [:]
    /// The keys of `ended` in an order that the seed fixes.
    var endedParents: [UInt64] = []
    /// The root task above each of them; 0 for 0 itself.
    var roots: [UInt64: UInt64] = [:]
    /// The first child of each that ended in failure: dropping it changes nothing about that.
    var firstFailures: [UInt64: UInt64] = [:]
    /// Root tasks that were dropped, and what was below them.
    var dropped: [UInt64] = []
    var droppedParents: [UInt64] = []

    mutating func end(_ child: ExpectedChild, under parent: UInt64) {
        if let name = live[child.id]?.name { holders[name] = nil }
        live[child.id] = nil
        liveChildren[child.id] = nil
        details[child.id] = nil
        kept[child.id] = nil
        liveChildren[parent, default: 0] -= 1
        if ended[parent] == nil {
            endedParents.append(parent)
            roots[parent] = root(of: parent)
        }
        if child.kind.isFailure, firstFailures[parent] == nil { firstFailures[parent] = child.id }
        ended[parent, default: []].append(child)
    }

    /// What a live task has now.
    func priority(of task: UInt64) -> UInt8 { details[task]?.priority ?? live[task]?.priority ?? 128 }

    /// The root task above a live task.
    private func root(of task: UInt64) -> UInt64 {
        var root = task
        while let above = live[root]?.parent, above != 0 { root = above }
        return root
    }

    // MARK: Trees

    /// The ended root tasks, in the order in which they ended.
    var endedRoots: [ExpectedChild] { ended[0, default: []] }

    /// How many ended tasks there are in a tree, its root too.
    func treeSize(_ root: UInt64) -> Int {
        1 + endedParents.reduce(0) { $0 + (roots[$1] == root ? ended[$1, default: []].count : 0) }
    }

    /// Takes a tree out.
    mutating func drop(_ root: UInt64) {
        ended[0]?.removeAll { $0.id == root }
        dropped.append(root)
        let below = endedParents.filter { roots[$0] == root }
        for parent in below { ended[parent] = nil }
        droppedParents += below
        endedParents.removeAll { ended[$0] == nil }
    }

    /// Gives spawned tasks the ids that the store gave them.
    mutating func adopt(_ tasks: [LiveTask], ids: some Sequence<UInt64>) {
        for (task, id) in zip(tasks, ids) {
            live[id] = task
            if let name = task.name { holders[name] = id }
        }
    }
}

/// A transaction of the model, and what it takes to find out whether a crash left it.
struct PlannedCommit: Sendable {
    var transaction = Transaction()
    var durability = Durability.synced
    var spawned: [ExpectedStore.LiveTask] = []
    /// The names behind the keys of its spawns, also of those that are left out.
    var names: Set<UInt64> = []
    /// The root task of the tree that it drops. It spawns nothing then.
    var dropped: UInt64?

    /// The payload of its first task, which no other task has: the task stays live until the commit is known to be on
    /// disk, so that the store has the one exactly when it has the other.
    var witness: [UInt8]? { spawned.first?.payload }
}

/// A commit that a crash may undo, and what the store must answer if it does.
struct UncertainCommit: Sendable {
    var before: ExpectedStore
    var commit: PlannedCommit
    var isAcknowledged = false
}

/// An answer of the store that differs from the model's. The seed replays it.
struct ModelMismatch: Error, CustomStringConvertible {
    var description: String
}

/// Throws unless `condition` holds: a random run ends at its first wrong answer.
func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws(ModelMismatch) {
    if !condition { throw ModelMismatch(description: message()) }
}
