// SPDX-License-Identifier: Apache-2.0

/// The transactions of one group commit, checked and gathered by parent, so that each parent's children make columns.
///
/// A plain value: it checks against the state and marks ended tasks there, and touches no file. When the write fails,
/// ``undo(in:)`` takes the marks back.
struct Batch: Sendable {
    struct GroupKey: Hashable {
        /// The stage that the tasks wait in; 0 when they are visible with the batch.
        var stage: UInt64
        var parent: TaskID
        var label: Label
        var priority: UInt8
        var attributes: [UInt8]
        /// Nil when its tasks have no keys.
        var policy: DuplicatePolicy?
        var submittedAt: Timestamp

        init(_ group: Transaction.SpawnGroup, stage: UInt64) {
            self.stage = stage
            parent = group.parent
            label = group.label
            priority = group.priority
            attributes = group.attributes
            policy = group.policy
            submittedAt = group.submittedAt
        }
    }

    struct SpawnGroup {
        var key: GroupKey
        var lengths: [UInt32] = []
        /// One a task, or none.
        var keys: [TaskKey] = []
        var payloads: [UInt8] = []
    }

    /// What a transaction got, in terms of groups whose ids are given out at the end.
    struct Receipt {
        var sequence: UInt64
        /// Its stretches among those of the batch.
        var spawns: Range<Int>
        /// Indexes of the commits of stages.
        var stages: Range<Int>
        /// What became of its spawns, when some have keys.
        var fates: Range<Int>
        /// What became of those in its stages, where that was asked for and is not that they are new.
        var stagedFates: Range<Int>
        var counts: SpawnCounts
    }

    var spawnGroups: [SpawnGroup] = []
    var spawnIndex: [GroupKey: Int] = [:]
    /// The group of the last spawn: most are of the same kind as the one before.
    var lastGroup = -1
    /// Keys that the batch adds to stages, once it adds some of several kinds.
    var stagedKeys: Set<TaskKey>?
    /// Where the consecutive spawns of the transactions went.
    var stretches: [(group: Int, start: Int, count: Int)] = []
    var outcomeBlocks: [OutcomeBlock] = []
    private var outcomeIndex: [TaskID: Int] = [:]
    var stages = BatchStages()
    var keys = BatchKeys()
    private var values = BatchValues()
    var notes: [Transaction.Note] = []
    var definitions: [(label: Label, name: String)] = []
    private var definedNames: Set<ExactName> = []
    private var endedTasks: [TaskID] = []
    var tally = ParentTally()
    private var nextSequence: UInt64 = 0
    var firstID: [UInt64] = []

    var isEmpty: Bool {
        spawnGroups.isEmpty && outcomeBlocks.isEmpty && notes.isEmpty && definitions.isEmpty && stages.isEmpty
    }

    /// Begins a new batch on `state`.
    mutating func begin(_ state: StoreState) {
        self = Batch()
        nextSequence = state.nextSequence
    }

    // MARK: Checking

    /// Adds a transaction whole, or throws and adds nothing.
    mutating func add(
        _ transaction: borrowing Transaction, to state: inout StoreState
    ) throws(StoreError) -> Receipt {
        if let keptBack = transaction.keptBack {
            return try add(withoutOvertaken(transaction, keptBack, state), to: &state)
        }
        let endedBefore = endedTasks.count
        let stagesBefore = stages.commits.count
        let plan: BatchKeys.Plan
        let valuePlan: BatchValues.Plan
        do throws(StoreError) {
            try checkLabels(transaction, state)
            try checkNotes(transaction, state)
            valuePlan = try values.plan(transaction, state)
            try endTasks(transaction, &state)
            plan = try checkSpawns(transaction, state)
        } catch {
            for task in endedTasks[endedBefore...] { revive(task, in: &state) }
            endedTasks.removeLast(endedTasks.count - endedBefore)
            stages.removeCommits(from: stagesBefore)
            throw error
        }
        values.adopt(valuePlan)
        let sequence = nextSequence
        let stretchesBefore = stretches.count
        let (fatesBefore, stagedFatesBefore) = (keys.fates.count, keys.stagedFates.count)
        gatherOutcomes(transaction)
        // Before the notes: a task that the same transaction replaces and cancels is replaced.
        gatherSpawns(transaction, plan)
        gatherNotes(transaction, state)
        return Receipt(
            sequence: sequence, spawns: stretchesBefore..<stretches.count,
            stages: stagesBefore..<stages.commits.count, fates: fatesBefore..<keys.fates.count,
            stagedFates: stagedFatesBefore..<keys.stagedFates.count, counts: plan.counts)
    }

    /// What this batch defines is not among them: nobody has been told its labels.
    private func checkLabels(_ transaction: borrowing Transaction, _ state: StoreState) throws(StoreError) {
        let largest = transaction.largestLabel
        guard largest == 0 || state.labels.defines(largest) else {
            throw StoreError(.rejected, "a label that the store has not given out: \(largest)")
        }
    }

    private func checkNotes(_ transaction: borrowing Transaction, _ state: StoreState) throws(StoreError) {
        for note in transaction.notes {
            let task: TaskID
            switch note {
            case .advance(let id, _, let value):
                try Self.checkSize(value.count)
                task = id
            case .keep(let id, _, let value):
                try Self.checkSize(value.count)
                task = id
            case .attempt(let id, _, _, let error):
                try Self.checkSize(error.count)
                task = id
            case .cancel(let id, let kind):
                guard kind.isCancel else { throw StoreError(.rejected, "a cancel cannot end a task as \(kind)") }
                task = id
            case .priority(let id, _), .crash(let id, _): task = id
            case .inFlight(let tasks):
                try Self.checkSize(tasks.count * MemoryLayout<UInt64>.size)
                continue
            case .set, .define, .commitStage, .abortStage, .relocateSpawn, .relocateKept: continue
            case .drop(let tree, let lookUp):
                guard lookUp.generation == state.dropped.generation else {
                    throw StoreError(.rejected, "trees were reclaimed while root \(tree.root) was looked up")
                }
                guard let pins = lookUp.pins else { continue }
                guard pins.parents == state.pins.made.parents, !state.pins.contains(root: tree.root) else {
                    throw StoreError(.rejected, "trees were pinned while root \(tree.root) was looked up")
                }
                continue
            }
            guard state.live.isUntouched(task) else { throw StoreError(.rejected, "task \(task) is not live") }
        }
    }

    private mutating func endTasks(
        _ transaction: borrowing Transaction, _ state: inout StoreState
    ) throws(StoreError) {
        for attachment in transaction.attachments { try Self.checkSize(attachment.bytes.count) }
        for index in transaction.outcomes.indices {
            let outcome = transaction.outcomes[index]
            try Self.checkSize(Int(transaction.valueLengths[index]))
            guard let run = state.live.mark(outcome.task) else {
                throw StoreError(.rejected, "task \(outcome.task) is not live")
            }
            endedTasks.append(outcome.task)
            tally.end(under: run.parent)
            guard run.parent == outcome.parent else {
                throw StoreError(
                    .rejected, "the parent of task \(outcome.task) is \(run.parent), not \(outcome.parent)")
            }
            let counts = tally[outcome.task]
            let live = state.parents.liveChildren(of: outcome.task)
            guard live + counts.arriving <= counts.ending else {
                throw StoreError(.rejected, "task \(outcome.task) has live children")
            }
        }
    }

    static func checkSize(_ bytes: Int) throws(StoreError) {
        guard bytes <= Limits.valueBytes else {
            throw StoreError(.tooLarge, "\(bytes) bytes; the limit is \(Limits.valueBytes)")
        }
    }

    private mutating func revive(_ task: TaskID, in state: inout StoreState) {
        if let run = state.live.unmark(task) { tally.revive(under: run.parent) }
    }

    /// Takes the marks of all transactions back: nothing of the batch was written.
    func undo(in state: inout StoreState) {
        for task in endedTasks { state.live.unmark(task) }
    }

    // MARK: Gathering

    private mutating func gatherNotes(_ transaction: borrowing Transaction, _ state: StoreState) {
        for note in transaction.notes {
            switch note {
            case .define(let name):
                guard state.labels.label(for: name) == nil, definedNames.insert(ExactName(name)).inserted else {
                    continue
                }
                definitions.append((Label(rawValue: state.labels.last + UInt32(definitions.count) + 1), name))
            case .commitStage: break
            case .abortStage(let stage): stages.abort(stage, state)
            case .priority(let task, let priority):
                keys.prioritize(task, priority)
                notes.append(note)
            default: notes.append(note)
            }
        }
    }

    private mutating func gatherOutcomes(_ transaction: borrowing Transaction) {
        let firstSequence = nextSequence
        let outcomes = transaction.outcomes
        let lengths = transaction.valueLengths
        var offset = 0
        var start = 0
        transaction.values.bytes.withUnsafeBytes { values in
            // A stretch of one parent's children at a time, whose values lie side by side.
            while start < outcomes.count {
                let parent = outcomes[start].parent
                let hasMemos = outcomes[start].kind == .completed
                let block = outcomeBlock(of: parent)
                let first = offset
                while start < outcomes.count, outcomes[start].parent == parent,
                    (outcomes[start].kind == .completed) == hasMemos
                {
                    outcomeBlocks[block].rows.append(
                        OutcomeRow(outcomes[start], sequence: nextSequence, valueLength: lengths[start]))
                    nextSequence += 1
                    offset += Int(lengths[start])
                    start += 1
                }
                let bytes = UnsafeRawBufferPointer(rebasing: values[first..<offset])
                if hasMemos {
                    outcomeBlocks[block].memos.append(contentsOf: bytes)
                } else {
                    outcomeBlocks[block].errors.append(contentsOf: bytes)
                }
            }
        }
        for attachment in transaction.attachments {
            let block = outcomeBlock(of: outcomes[attachment.outcome].parent)
            attachment.bytes.withUnsafeBytes {
                outcomeBlocks[block].attachments.append($0, of: firstSequence + UInt64(attachment.outcome))
            }
        }
    }

    private mutating func outcomeBlock(of parent: TaskID) -> Int {
        if let index = outcomeIndex[parent] { return index }
        outcomeBlocks.append(OutcomeBlock(parent: parent))
        outcomeIndex[parent] = outcomeBlocks.count - 1
        return outcomeBlocks.count - 1
    }
}

extension OutcomeRow {
    fileprivate init(_ outcome: Transaction.Outcome, sequence: UInt64, valueLength: UInt32) {
        self.init(
            task: outcome.task.rawValue, sequence: sequence, startedAt: outcome.startedAt.rawValue,
            endedAt: outcome.endedAt.rawValue, label: outcome.label.rawValue, attempts: outcome.attempts,
            valueLength: valueLength, kind: outcome.kind)
    }
}
