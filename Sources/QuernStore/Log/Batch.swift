// SPDX-License-Identifier: Apache-2.0

/// The transactions of one group commit, checked and gathered by parent, so that each parent's children make columns.
///
/// A plain value: it checks against the state and marks ended tasks there, and touches no file. When the write fails,
/// ``undo(in:)`` takes the marks back.
struct Batch: Sendable {
    private struct GroupKey: Hashable {
        /// The stage that the tasks wait in; 0 when they are visible with the batch.
        var stage: UInt64
        var parent: TaskID
        var label: Label
        var priority: UInt8
        var submittedAt: Timestamp
    }

    private struct SpawnGroup {
        var key: GroupKey
        var lengths: [UInt32] = []
        var payloads: [UInt8] = []
    }

    /// What a transaction got, in terms of groups whose ids are given out at the end.
    struct Receipt {
        var sequence: UInt64
        /// Its stretches among those of the batch.
        fileprivate var spawns: Range<Int>
        /// Indexes of the commits of stages.
        fileprivate var stages: Range<Int>
    }

    private var spawnGroups: [SpawnGroup] = []
    private var spawnIndex: [GroupKey: Int] = [:]
    /// The group of the last spawn: most are of the same kind as the one before.
    private var lastGroup = -1
    /// Where the consecutive spawns of the transactions went.
    private var stretches: [(group: Int, start: Int, count: Int)] = []
    private var outcomeBlocks: [OutcomeBlock] = []
    private var outcomeIndex: [TaskID: Int] = [:]
    private var stages = BatchStages()
    private var notes: [Transaction.Note] = []
    private var definitions: [(label: Label, name: String)] = []
    private var definedNames: Set<ExactName> = []
    private var endedTasks: [TaskID] = []
    private var tally = ParentTally()
    private var nextSequence: UInt64 = 0
    private var firstID: [UInt64] = []

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
        let endedBefore = endedTasks.count
        let stagesBefore = stages.commits.count
        do throws(StoreError) {
            try checkLabels(transaction, state)
            try checkNotes(transaction, state)
            try endTasks(transaction, &state)
            try checkSpawns(transaction, state)
        } catch {
            for task in endedTasks[endedBefore...] { revive(task, in: &state) }
            endedTasks.removeLast(endedTasks.count - endedBefore)
            stages.removeCommits(from: stagesBefore)
            throw error
        }
        gatherNotes(transaction, state)
        let sequence = nextSequence
        let stretchesBefore = stretches.count
        gatherOutcomes(transaction)
        gatherSpawns(transaction)
        return Receipt(
            sequence: sequence, spawns: stretchesBefore..<stretches.count,
            stages: stagesBefore..<stages.commits.count)
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
            case .attempt(let id, _, _, let error):
                try Self.checkSize(error.count)
                task = id
            case .cancel(let id), .crash(let id, _): task = id
            case .inFlight(let tasks):
                try Self.checkSize(tasks.count * MemoryLayout<UInt64>.size)
                continue
            case .define, .commitStage, .abortStage, .relocateSpawn, .relocateHandover: continue
            case .drop(let tree, let generation):
                guard generation == state.dropped.generation else {
                    throw StoreError(.rejected, "trees were reclaimed while the row of root \(tree.root) was looked up")
                }
                continue
            }
            guard state.live.isUntouched(task) else { throw StoreError(.rejected, "task \(task) is not live") }
        }
    }

    private mutating func endTasks(
        _ transaction: borrowing Transaction, _ state: inout StoreState
    ) throws(StoreError) {
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

    private mutating func checkSpawns(
        _ transaction: borrowing Transaction, _ state: StoreState
    ) throws(StoreError) {
        for length in transaction.payloadLengths { try Self.checkSize(Int(length)) }
        if transaction.stage != 0 {
            // Parents are checked when the stage is committed.
            return try stages.add(transaction.spawnCount, to: transaction.stage, state)
        }
        var arrivals: [(parent: TaskID, children: UInt64)] = []
        for case .commitStage(let stage) in transaction.notes {
            try stages.commit(stage.number, state)
            arrivals += self.arrivals(ofStage: stage.number, state)
        }
        for group in transaction.spawnGroups { try checkParent(group.parent, state) }
        for arrival in arrivals { try checkParent(arrival.parent, state) }
        for group in transaction.spawnGroups { expect(UInt64(group.count), under: group.parent) }
        for arrival in arrivals { expect(arrival.children, under: arrival.parent) }
    }

    /// What is in a stage, and what this batch adds to it.
    private func arrivals(ofStage stage: UInt64, _ state: StoreState) -> [(parent: TaskID, children: UInt64)] {
        let added = spawnGroups.lazy.filter { $0.key.stage == stage }
        return (state.stages[stage]?.arrivals ?? []) + added.map { ($0.key.parent, UInt64($0.lengths.count)) }
    }

    private func checkParent(_ parent: TaskID, _ state: StoreState) throws(StoreError) {
        guard parent == .none || state.live.isUntouched(parent) else {
            throw StoreError(.rejected, "parent \(parent) is not live")
        }
    }

    private mutating func expect(_ children: UInt64, under parent: TaskID) {
        if parent != .none { tally.arrive(children, under: parent) }
    }

    private static func checkSize(_ bytes: Int) throws(StoreError) {
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
            default: notes.append(note)
            }
        }
    }

    private mutating func gatherOutcomes(_ transaction: borrowing Transaction) {
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
    }

    private mutating func outcomeBlock(of parent: TaskID) -> Int {
        if let index = outcomeIndex[parent] { return index }
        outcomeBlocks.append(OutcomeBlock(parent: parent))
        outcomeIndex[parent] = outcomeBlocks.count - 1
        return outcomeBlocks.count - 1
    }

    private mutating func gatherSpawns(_ transaction: borrowing Transaction) {
        var index = 0
        var offset = 0
        for part in transaction.spawnGroups {
            let group = spawnGroup(
                GroupKey(
                    stage: transaction.stage, parent: part.parent, label: part.label, priority: part.priority,
                    submittedAt: part.submittedAt))
            let lengths = transaction.payloadLengths[index..<(index + part.count)]
            let bytes = lengths.reduce(into: 0) { $0 += Int($1) }
            stretches.append((group, spawnGroups[group].lengths.count, part.count))
            spawnGroups[group].lengths.append(contentsOf: lengths)
            spawnGroups[group].payloads.append(contentsOf: transaction.payloads.bytes[offset..<(offset + bytes)])
            index += part.count
            offset += bytes
        }
    }

    private mutating func spawnGroup(_ key: GroupKey) -> Int {
        if lastGroup >= 0, spawnGroups[lastGroup].key == key { return lastGroup }
        if let known = spawnIndex[key] {
            lastGroup = known
        } else {
            lastGroup = spawnGroups.count
            spawnGroups.append(SpawnGroup(key: key))
            spawnIndex[key] = lastGroup
        }
        return lastGroup
    }

    // MARK: Records

    /// Gives out ids and writes all records; `emit` takes a full body and whether it is the batch's last.
    mutating func encode(
        firstID nextID: UInt64, body: inout ByteWriter, scratch: inout OutcomeBlockScratch,
        emit: (inout ByteWriter, _ isLast: Bool) -> Void
    ) {
        var nextID = nextID
        func emitIfFull(_ body: inout ByteWriter) {
            if body.count >= Limits.frameTarget { emit(&body, false) }
        }
        firstID.removeAll(keepingCapacity: true)
        for group in spawnGroups {
            let stage = group.key.stage
            var id = stage == 0 ? nextID : stages.takePositions(group.lengths.count, in: stage)
            if stage == 0 { nextID += UInt64(group.lengths.count) }
            firstID.append(id)
            var offset = 0
            var start = 0
            while start < group.lengths.count {
                let (count, bytes) = Self.nextRun(group.lengths[start...])
                let lengths = group.lengths[start..<(start + count)]
                emitBefore(bytes, &body, emit)
                LogRecord.append((stage == 0 ? LogRecord.Kind.spawn : .stagedSpawn).rawValue, to: &body) {
                    if stage != 0 { $0.append(littleEndian: stage) }
                    SpawnRecord.appendHeader(
                        firstID: id, parent: group.key.parent, submittedAt: group.key.submittedAt,
                        label: group.key.label, count: lengths.count, priority: group.key.priority, to: &$0)
                    IntegerColumn.encode(count: lengths.count, into: &$0) { Int64(lengths[start + $0]) }
                    $0.append(contentsOf: group.payloads[offset..<(offset + bytes)])
                }
                id += UInt64(count)
                start += count
                offset += bytes
                emitIfFull(&body)
            }
        }
        stages.encode(nextID: &nextID, to: &body)
        for (label, name) in definitions { LogRecord.append(label, name: name, to: &body) }
        for note in notes {
            LogRecord.append(note, to: &body)
            emitIfFull(&body)
        }
        func encode(_ part: inout OutcomeBlock) {
            emitBefore(part.valueBytes, &body, emit)
            LogRecord.append(LogRecord.Kind.outcomes.rawValue, to: &body) {
                OutcomeBlockCodec.encode(part, compress: false, scratch: &scratch, into: &$0)
            }
            emitIfFull(&body)
            part.removeAll()
        }
        for block in outcomeBlocks {
            var part = OutcomeBlock(parent: block.parent)
            part.fill(from: block, empty: encode)
            if !part.rows.isEmpty { encode(&part) }
        }
        emit(&body, true)
    }

    /// How many of the next tasks make a run: its capacity, fewer when payloads are large, at least one.
    private static func nextRun(_ lengths: ArraySlice<UInt32>) -> (count: Int, bytes: Int) {
        var count = 0
        var bytes = 0
        for length in lengths.prefix(SpawnRun.capacity) {
            if count > 0, bytes + Int(length) > Limits.frameTarget { break }
            count += 1
            bytes += Int(length)
        }
        return (count, bytes)
    }

    /// A record that would take the body far above its target goes to the next frame.
    private func emitBefore(_ bytes: Int, _ body: inout ByteWriter, _ emit: (inout ByteWriter, Bool) -> Void) {
        if body.count > 0, body.count + bytes > 4 * Limits.frameTarget { emit(&body, false) }
    }

    /// The receipt with ids. Valid after ``encode(firstID:body:scratch:emit:)``.
    func commit(_ receipt: Receipt) -> Commit {
        Commit(
            sequence: receipt.sequence,
            spawned: stretches[receipt.spawns].map { spawn in
                let first = firstID[spawn.group] + UInt64(spawn.start)
                return first..<(first + UInt64(spawn.count))
            }, staged: stages.commits[receipt.stages].map { $0.firstID..<($0.firstID + $0.count) })
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
