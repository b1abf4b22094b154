// SPDX-License-Identifier: Apache-2.0

/// What is committed, as a value: what the questions to a store, or to a reader of one, are answered from.
struct Committed: Sendable {
    var state: StoreState
    var index: MemoIndex
    /// Full blocks that a reader found in the log and in no index segment that it knows, by parent, in sequence order.
    /// A writer has none: its full blocks go to the index.
    var tailBlocks: [TaskID: [BlockExtent]] = [:]
    /// Live tasks whose ends somebody waits for. Not durable.
    var watched: Set<TaskID> = []

    /// Everything without an outcome. O(live).
    func liveTasks() -> LiveTasks {
        var tasks = LiveTasks()
        tasks.runs = state.live.runs.filter { $0.live != 0 }
        for (run, attributes) in state.attributes.all { tasks.attributes[run] = attributes }
        for (task, detail) in state.details { tasks.details[task] = detail }
        tasks.parents = state.parents.statuses
        tasks.inFlight = state.inFlight.filter { state.live.contains($0) }
        return tasks
    }

    /// The live tasks below `tasks`, at any depth, that are parents themselves. One pass over the live runs, since ids
    /// follow commit order and a child comes after its parent.
    func liveParents(below tasks: Set<TaskID>) -> Set<TaskID> {
        var above = tasks
        for entry in state.live.runs where entry.live != 0 && above.contains(entry.run.parent) {
            var bits = entry.live
            while bits != 0 {
                let task = entry.run.id(at: bits.trailingZeroBitCount)
                if state.parents.contains(task) { above.insert(task) }
                bits &= bits - 1
            }
        }
        return above.subtracting(tasks)
    }

    var totals: (live: Int, endedRoots: UInt64) {
        (state.live.count, state.parents.status(of: .none)?.counts.total ?? 0)
    }

    /// Watches those of the tasks that are live, and returns the others.
    mutating func watch(_ tasks: some Sequence<TaskID>) -> [TaskID] {
        var others: [TaskID] = []
        for task in tasks {
            if state.live.contains(task) { watched.insert(task) } else { others.append(task) }
        }
        return others
    }

    /// Pins the tree that a task is in, as far as that can be told without reading a file.
    mutating func pinTree(of task: TaskID, under parent: TaskID) -> TreePin {
        if parent == .none || state.parents.contains(parent) {
            let root = parent == .none ? task : state.parents.root(of: parent) ?? parent
            state.pins.pin(root: root)
            return .root(root)
        }
        state.pins.pin(endedParent: parent)
        return .endedParent(parent)
    }

    /// Where a parent's ended children are. O(blocks in memory that are ready or small); reads no file.
    func childPlaces(of parent: TaskID) -> ChildPlaces {
        ChildPlaces(
            parent: parent, index: index, tail: tailBlocks[parent] ?? [], blocks: state.blocks(of: parent),
            dropped: state.dropped)
    }
}
