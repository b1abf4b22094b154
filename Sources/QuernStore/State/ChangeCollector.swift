// SPDX-License-Identifier: Apache-2.0

/// Gathers what a batch changed, for the observer.
struct ChangeCollector {
    private var runs: [SpawnRun] = []
    private var attributes: [TaskID: [UInt8]] = [:]
    private var absent: [TaskID: UInt64] = [:]
    /// Tasks whose ends are to be told.
    private(set) var watched: Set<TaskID>
    private var endedWatched: [TaskID: OutcomeKind] = [:]
    private var cancels: [TaskID: OutcomeKind] = [:]
    private var priorities: [TaskID: UInt8] = [:]
    private var settled: [TaskID] = []
    private var touched: Set<TaskID> = []
    private var lastTouched = TaskID.none
    private var roots: [EndedTask] = []
    private var endedRuns: [TaskID] = []

    init(watched: Set<TaskID> = []) { self.watched = watched }

    mutating func ended(_ rows: [OutcomeRow]) {
        if watched.isEmpty { return }
        for row in rows {
            if let task = watched.remove(TaskID(row.task)) { endedWatched[task] = row.kind }
        }
    }

    mutating func spawned(_ run: SpawnRun, attributes: [UInt8], absent: UInt64) {
        runs.append(run)
        if absent != 0 { self.absent[run.firstID] = absent }
        if !attributes.isEmpty { self.attributes[run.firstID] = attributes }
    }

    mutating func endedRun(_ firstID: TaskID) { endedRuns.append(firstID) }

    mutating func cancelled(_ task: TaskID, as kind: OutcomeKind) { cancels[task] = kind }

    mutating func prioritized(_ task: TaskID, _ priority: UInt8) { priorities[task] = priority }

    /// A task ended of which there was something to tell.
    mutating func settled(_ task: TaskID, _ detail: LiveTasks.Detail) {
        if detail.cancelRequested || detail.priority != nil { settled.append(task) }
    }

    mutating func touch(_ task: TaskID) {
        // Most batches are about one parent.
        guard task != lastTouched, task != .none else { return }
        lastTouched = task
        touched.insert(task)
    }

    mutating func endedRoots(_ block: OutcomeBlock) {
        var memoOffset = 0
        var errorOffset = 0
        for row in block.rows {
            let length = Int(row.valueLength)
            let value: ArraySlice<UInt8>
            if row.kind == .completed {
                value = block.memos[memoOffset..<(memoOffset + length)]
                memoOffset += length
            } else {
                value = block.errors[errorOffset..<(errorOffset + length)]
                errorOffset += length
            }
            roots.append(
                EndedTask(
                    id: TaskID(row.task), label: Label(rawValue: row.label), kind: row.kind, attempts: row.attempts,
                    startedAt: Timestamp(milliseconds: row.startedAt), endedAt: Timestamp(milliseconds: row.endedAt),
                    value: Array(value)))
        }
    }

    /// The changes, with the parents as they are in `state` now. Parents that ended in the batch are not in it.
    func changes(in state: StoreState) -> CommitChanges {
        var changes = CommitChanges()
        changes.spawned = runs
        changes.attributes = attributes
        changes.absent = absent
        changes.endedWatched = endedWatched
        if !cancels.isEmpty { changes.cancels = cancels.filter { state.live.contains($0.key) } }
        if !priorities.isEmpty { changes.priorities = priorities.filter { state.live.contains($0.key) } }
        changes.settled = settled
        changes.endedRoots = roots
        changes.endedRuns = endedRuns
        changes.touched = touched.sorted().compactMap { state.parents.status(of: $0) }
        return changes
    }
}
