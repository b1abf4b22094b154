// SPDX-License-Identifier: Apache-2.0

/// Everything that the store knows about live tasks, as a plain value: batches of records go in, changes come out.
///
/// Commit and recovery apply the same bytes through ``apply(_:segment:frameOffset:changes:)``, so that a store that was
/// reopened cannot differ from one that went on. It holds no file and knows no clock.
struct StoreState: Sendable {
    var live = LiveTable()
    var parents = TaskMap<ParentState>()
    /// Only for live tasks with something to tell.
    var details = TaskMap<LiveTasks.Detail>()
    var labels = LabelTable()
    /// The tasks of the last in-flight note.
    var inFlight: [TaskID] = []
    var nextID: UInt64 = 1
    var nextSequence: UInt64 = 1
    /// Tasks that wait for the commit of their stage, by its number.
    var stages: [UInt64: StagedSpawns] = [:]
    /// The highest number that a stage has had.
    var lastStage: UInt64 = 0
    var blockSizes = BlockSizes()
    /// Memory that the open blocks and the small ones of ended parents take, in bytes.
    var openBytes = 0
    /// Small blocks of parents that ended, which wait for a frame to share.
    var endedBlocks: [OutcomeBlock] = []
    /// What they take in a file.
    var endedSize = 0
    /// Trees that were dropped and are not reclaimed yet.
    var dropped = DroppedTrees()
    /// Blocks that are ready for an index segment, in order.
    var fullBlocks: [OutcomeBlock] = []
    /// Parents that ended in the frame being applied.
    var endedParents: [TaskID] = []

    init() {
        parents[.none] = ParentState(id: .none, root: .none)
    }

    // MARK: Applying a frame

    /// Applies the records of one committed frame.
    mutating func apply(
        _ body: UnsafeRawBufferPointer, segment: UInt32, frameOffset: UInt64, changes: inout ChangeCollector
    ) throws(DecodingFailure) {
        try LogRecord.forEach(in: body) { (kind, offset, fields) throws(DecodingFailure) in
            guard let kind = LogRecord.Kind(rawValue: kind) else { throw DecodingFailure("record kind \(kind)") }
            let place = LogPlace(segment: segment, frameOffset: frameOffset, recordOffset: UInt32(offset))
            try apply(kind, fields, at: place, changes: &changes)
        }
    }

    mutating func apply(
        _ kind: LogRecord.Kind, _ fields: UnsafeRawBufferPointer, at place: LogPlace, changes: inout ChangeCollector
    ) throws(DecodingFailure) {
        var reader = ByteReader(fields)
        switch kind {
        case .spawn:
            let record = try SpawnRecord(fields)
            guard record.firstID >= nextID else { throw DecodingFailure("id \(record.firstID) used twice") }
            try labels.check(record.label)
            spawn(
                record.run(
                    segment: place.segment, frameOffset: place.frameOffset, recordOffset: Int(place.recordOffset)),
                changes: &changes)
        case .outcomes:
            var block = ChildBlock()
            var scratch: [UInt8] = []
            try OutcomeBlockReader.decode(fields, columns: .all, scratch: &scratch, into: &block)
            try end(block.outcomeBlock(), changes: &changes)
        case .advance:
            let task = TaskID(try reader.littleEndian())
            let phase = try reader.byte()
            details[task, default: LiveTasks.Detail()].phase = phase
            details[task]?.attempts = 0
            details[task]?.notBefore = LiveTasks.Detail().notBefore
            let handover = LogPlace(place, bytes: reader.remaining)
            withParent(task) {
                $0.status.phase = phase
                $0.handover = handover
            }
            changes.touch(task)
        case .attempt:
            let task = TaskID(try reader.littleEndian())
            details[task, default: LiveTasks.Detail()].attempts = try reader.littleEndian()
            details[task]?.notBefore = Timestamp(milliseconds: try reader.littleEndian())
        case .cancel:
            let task = TaskID(try reader.littleEndian())
            details[task, default: LiveTasks.Detail()].cancelRequested = true
            parents[task]?.status.cancelRequested = true
            changes.touch(task)
        case .crash:
            let task = TaskID(try reader.littleEndian())
            details[task, default: LiveTasks.Detail()].crashes = try reader.byte()
        case .define:
            let label = Label(rawValue: try reader.littleEndian())
            let name = String(decoding: try reader.take(reader.remaining), as: UTF8.self)
            try labels.define(name, as: label)
        case .inFlight:
            inFlight.removeAll(keepingCapacity: true)
            while !reader.isAtEnd { inFlight.append(TaskID(try reader.littleEndian())) }
        case .relocatedSpawn:
            let record = try SpawnRecord(fields)
            live.relocate(
                record.run(
                    segment: place.segment, frameOffset: place.frameOffset, recordOffset: Int(place.recordOffset)))
        case .relocatedHandover:
            let task = TaskID(try reader.littleEndian())
            let old = try LogPlace(&reader)
            // The task may have been advanced since its hand-over was read.
            guard parents[task]?.handover == old else { return }
            parents[task]?.handover = LogPlace(place, bytes: reader.remaining)
        case .stagedSpawn: try applyStagedSpawn(&reader, at: place)
        case .stageCommit: try applyStageCommit(&reader, changes: &changes)
        case .stageAbort: stages[try reader.littleEndian()] = nil
        case .drop: try drop(try DroppedTree(&reader))
        }
    }

    private mutating func drop(_ tree: DroppedTree) throws(DecodingFailure) {
        guard tree.sequence < nextSequence, tree.root.rawValue < nextID, !live.contains(tree.root) else {
            throw DecodingFailure("drop of \(tree.root), which has not ended")
        }
        guard dropped.insert(tree) else { return }
        guard let count = parents[.none]?.status.counts[tree.kind], count > 0 else {
            throw DecodingFailure("drop of \(tree.root), which is no ended root task")
        }
        parents[.none]?.status.counts[tree.kind] = count - 1
    }

    mutating func spawn(_ run: SpawnRun, changes: inout ChangeCollector) {
        live.append(run)
        nextID = run.firstID.rawValue + UInt64(run.count)
        withParent(run.parent) { $0.status.liveChildren += UInt64(run.count) }
        changes.spawned(run)
        changes.touch(run.parent)
    }

    /// Applies outcomes of one parent's children. The bits may be cleared already: commit does that when it checks.
    mutating func end(_ block: OutcomeBlock, changes: inout ChangeCollector) throws(DecodingFailure) {
        guard var parent = parents[block.parent] else {
            throw DecodingFailure("outcomes under \(block.parent), which is not live")
        }
        // Taken out of the dictionary, so that its arrays grow in place.
        parents[block.parent]?.openBlock = OutcomeBlock(parent: block.parent, root: parent.root)
        var counts = parent.status.counts
        for row in block.rows {
            try labels.check(row.label)
            live.end(TaskID(row.task))
            counts[row.kind] += 1
            if row.kind.isFailure, parent.status.firstFailure == .none {
                parent.status.firstFailure = TaskID(row.task)
            }
            if !details.isEmpty { details[TaskID(row.task)] = nil }
            if parents.count > 1, parents[TaskID(row.task)] != nil { endedParents.append(TaskID(row.task)) }
        }
        let ended = UInt64(block.rows.count)
        let last = block.rows[block.rows.count - 1].sequence
        guard last <= Limits.number else { throw DecodingFailure("sequence \(last)") }
        guard parent.status.liveChildren >= ended else { throw DecodingFailure("more outcomes than children") }
        parent.status.counts = counts
        parent.status.liveChildren -= ended
        nextSequence = max(nextSequence, last + 1)
        gather(block, into: &parent)
        parents[block.parent] = parent
        changes.touch(block.parent)
        if block.parent == .none { changes.endedRoots(block) }
    }

    /// The root of a live task's tree, which is itself for a root task.
    private func root(of task: TaskID) -> TaskID {
        guard let above = live.run(of: task)?.run.parent, above != .none else { return task }
        return parents[above]?.root ?? task
    }

    mutating func withParent(_ task: TaskID, _ body: (inout ParentState) -> Void) {
        if parents[task] == nil {
            var parent = ParentState(id: task, root: root(of: task))
            parent.status.cancelRequested = details[task]?.cancelRequested ?? false
            parents[task] = parent
        }
        body(&parents[task]!)
    }
}
