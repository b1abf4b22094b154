// SPDX-License-Identifier: Apache-2.0

/// What a batch does with stages: how much it adds to each, which it commits and which it aborts.
///
/// Nothing here changes the state, so that there is nothing to take back when the write fails.
struct BatchStages: Sendable {
    struct Commit: Sendable {
        var number: UInt64
        var count: UInt64
        /// Whether the caller wants to know what became of each task.
        var tellsEach: Bool
        /// Given out when the batch is encoded.
        var firstID: UInt64 = 0
        /// What is not spawned with it.
        var absent = AbsentPositions()
    }

    /// A stage that the batch adds to.
    private struct Addition {
        /// The position that the next encoded task gets.
        var nextPosition: UInt64
        /// Tasks in the stage, those of this batch included.
        var count: UInt64
    }

    private var additions: [UInt64: Addition] = [:]
    private var closed: Set<UInt64> = []
    private(set) var commits: [Commit] = []
    private var aborts: [UInt64] = []

    var isEmpty: Bool { commits.isEmpty && aborts.isEmpty }

    // MARK: Checking

    private func count(_ stage: UInt64, _ state: StoreState) throws(StoreError) -> UInt64 {
        guard !closed.contains(stage), let staged = state.stages[stage] else {
            throw StoreError(.rejected, "the stage was committed or cancelled")
        }
        return additions[stage]?.count ?? staged.count
    }

    /// Adds tasks, or throws and adds none.
    mutating func add(_ tasks: Int, to stage: UInt64, _ state: StoreState) throws(StoreError) {
        let before = try count(stage, state)
        let after = before + UInt64(tasks)
        guard after <= Limits.stagedTasks else {
            throw StoreError(.tooLarge, "\(after) tasks in a stage; the limit is \(Limits.stagedTasks)")
        }
        additions[stage, default: Addition(nextPosition: before, count: before)].count = after
    }

    /// Closes a stage to make it visible, until ``removeCommits(from:)`` opens it again.
    mutating func commit(_ stage: UInt64, tellsEach: Bool, _ state: StoreState) throws(StoreError) {
        commits.append(Commit(number: stage, count: try count(stage, state), tellsEach: tellsEach))
        closed.insert(stage)
    }

    mutating func removeCommits(from index: Int) {
        for commit in commits[index...] { closed.remove(commit.number) }
        commits.removeLast(commits.count - index)
    }

    /// Leaves tasks out of what becomes visible.
    mutating func leaveOut(_ absent: AbsentPositions, of commit: Int) { commits[commit].absent = absent }

    /// Aborts a stage, unless it is closed already.
    mutating func abort(_ stage: UInt64, _ state: StoreState) {
        guard state.stages[stage] != nil, closed.insert(stage).inserted else { return }
        aborts.append(stage)
    }

    // MARK: Records

    /// Positions for the next tasks of a stage.
    mutating func takePositions(_ tasks: Int, in stage: UInt64) -> UInt64 {
        guard let position = additions[stage]?.nextPosition else { return 0 }
        additions[stage]?.nextPosition = position + UInt64(tasks)
        return position
    }

    /// Gives out the ids of committed stages and writes what became of all that end here.
    mutating func encode(
        nextID: inout UInt64, to body: inout ByteWriter, _ emitIfFull: (inout ByteWriter) -> Void
    ) {
        for index in commits.indices {
            commits[index].firstID = nextID
            nextID += commits[index].count
            // The log never heard of a stage without tasks.
            guard commits[index].count > 0 else {
                LogRecord.append(stageAbort: commits[index].number, to: &body)
                continue
            }
            LogRecord.append(
                stageCommit: commits[index].number, firstID: commits[index].firstID, absent: commits[index].absent,
                to: &body)
            emitIfFull(&body)
        }
        for stage in aborts { LogRecord.append(stageAbort: stage, to: &body) }
    }
}
