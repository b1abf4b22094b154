// SPDX-License-Identifier: Apache-2.0

/// Everything that the store knows about live tasks, as a plain value: batches of records go in, changes come out.
///
/// Commit and recovery apply the same bytes through ``apply(_:segment:frameOffset:changes:)``, so that a store that was
/// reopened cannot differ from one that went on. It holds no file and knows no clock.
struct StoreState: Sendable {
    var live = LiveTable()
    var parents = ParentTable()
    /// Of live parents, the children that ended last and are in no index segment yet (S8). None is without rows.
    var openBlocks = TaskMap<OutcomeBlock>()
    /// Only for live tasks with something to tell.
    var details = TaskMap<LiveTasks.Detail>()
    var attributes = RunAttributes()
    var keys = KeyTable()
    /// What live tasks keep.
    var slots = SlotTable()
    var values = NamedValues()
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
    /// What retention leaves alone.
    var pins = Pins()
    /// Blocks that are ready for an index segment, in order.
    var fullBlocks: [OutcomeBlock] = []
    /// Parents that ended in the frame being applied.
    var endedParents: [TaskID] = []

    /// What is known of live tasks and parents takes in memory, in bytes, without the open blocks. O(live / 100).
    var liveFootprint: Int {
        live.footprint + parents.footprint + details.footprint + attributes.footprint + keys.footprint + slots.footprint
            + values.footprint
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
            let run = record.run(at: place)
            let fits = spawn(run, attributes: Array(record.attributes), changes: &changes)
            keys.give(try record.keys(), to: run, present: run.allBits)
            guard fits else { throw Self.misfit(run) }
        case .outcomes:
            var block = ChildBlock()
            var scratch: [UInt8] = []
            try OutcomeBlockReader.decode(fields, columns: .stored, scratch: &scratch, into: &block)
            try end(block.outcomeBlock(), changes: &changes)
        case .advance:
            let task = try liveTask(&reader)
            let phase = try reader.byte()
            details.modify(task, default: LiveTasks.Detail()) {
                $0.phase = phase
                $0.attempts = 0
                $0.notBefore = LiveTasks.Detail().notBefore
            }
            insertParent(task)
            parents.advance(task, to: phase)
            slots[task, SlotTable.handover] = LogPlace(place, bytes: reader.remaining)
            changes.touch(task)
        case .keep:
            let task = try liveTask(&reader)
            let slot = try reader.byte()
            slots[task, slot] = LogPlace(place, bytes: reader.remaining)
        case .value:
            let record = try ValueRecord(&reader)
            values[record.name] = record.value
        case .attempt:
            let task = try liveTask(&reader)
            let attempts: UInt32 = try reader.littleEndian()
            let notBefore = Timestamp(milliseconds: try reader.littleEndian())
            details.modify(task, default: LiveTasks.Detail()) {
                $0.attempts = attempts
                $0.notBefore = notBefore
            }
        case .cancel:
            let task = try liveTask(&reader)
            cancel(task, as: try OutcomeKind(cancel: &reader), changes: &changes)
        case .priority:
            let task = try liveTask(&reader)
            let priority = try reader.byte()
            details.modify(task, default: LiveTasks.Detail()) { $0.priority = priority }
            changes.prioritized(task, priority)
        case .crash:
            let task = try liveTask(&reader)
            let crashes = try reader.byte()
            details.modify(task, default: LiveTasks.Detail()) { $0.crashes = crashes }
        case .define:
            let (label, name) = try LogRecord.definition(&reader)
            try labels.define(name, as: label)
        case .inFlight:
            inFlight.removeAll(keepingCapacity: true)
            while !reader.isAtEnd { inFlight.append(TaskID(try reader.littleEndian())) }
        case .relocatedSpawn:
            let record = try SpawnRecord(fields)
            guard record.attributes.isEmpty, record.policy == nil else {
                throw DecodingFailure("attributes or keys of a run that has them")
            }
            live.relocate(record.run(at: place))
        case .relocatedKept:
            let task = TaskID(try reader.littleEndian())
            let slot = try reader.byte()
            let old = try LogPlace(&reader)
            slots.relocate(task, slot, from: old, to: LogPlace(place, bytes: reader.remaining))
        case .stagedSpawn: try applyStagedSpawn(&reader, at: place)
        case .stageCommit: try applyStageCommit(&reader, changes: &changes)
        case .key:
            let task = TaskID(try reader.littleEndian())
            guard let run = live.run(of: task)?.run else { throw DecodingFailure("key of \(task), which is not live") }
            keys.remove(task)
            keys.give(try TaskKey(&reader), to: task, inRunFrom: run.firstID)
        case .stageAbort: stages[try reader.littleEndian()] = nil
        case .drop: try drop(try DroppedTree(&reader))
        }
    }

    /// The task that a record is about. What such a record said of another would stay for ever, and a checkpoint that
    /// has it cannot be read.
    private func liveTask(_ reader: inout ByteReader) throws(DecodingFailure) -> TaskID {
        let task = TaskID(try reader.littleEndian())
        guard live.contains(task) else { throw DecodingFailure("a record about \(task), which is not live") }
        return task
    }

    private mutating func cancel(_ task: TaskID, as kind: OutcomeKind, changes: inout ChangeCollector) {
        let first = details.modify(task, default: LiveTasks.Detail()) {
            $0.cancel = $0.cancel ?? kind
            return $0.cancel ?? kind
        }
        parents.requestCancel(task)
        changes.touch(task)
        changes.cancelled(task, as: first)
    }

    private mutating func drop(_ tree: DroppedTree) throws(DecodingFailure) {
        guard tree.sequence < nextSequence, tree.root.rawValue < nextID, !live.contains(tree.root) else {
            throw DecodingFailure("drop of \(tree.root), which has not ended")
        }
        guard dropped.insert(tree) else { return }
        guard parents.dropRoot(tree.kind) else {
            throw DecodingFailure("drop of \(tree.root), which is no ended root task")
        }
    }

    /// - Parameter absent: a bit for each task that is none.
    /// - Returns: whether the parent is live, as it must be.
    @discardableResult
    mutating func spawn(
        _ run: SpawnRun, attributes: [UInt8] = [], absent: UInt64 = 0, changes: inout ChangeCollector
    ) -> Bool {
        let present = run.allBits & ~absent
        nextID = run.firstID.rawValue + UInt64(run.count)
        if present == 0 { return true }
        live.append(run, live: present)
        self.attributes.insert(attributes, of: run.firstID)
        let fits = insertParent(run.parent)
        parents.spawn(UInt64(present.nonzeroBitCount), under: run.parent)
        changes.spawned(run, attributes: attributes, absent: absent)
        changes.touch(run.parent)
        return fits
    }

    static func misfit(_ run: SpawnRun) -> DecodingFailure {
        DecodingFailure("spawn of \(run.firstID) under \(run.parent), which is not live")
    }

    /// Applies outcomes of one parent's children. After an error about a task those of the others are applied: who goes
    /// on behind damage knows them as ended.
    mutating func end(_ block: OutcomeBlock, changes: inout ChangeCollector) throws(DecodingFailure) {
        guard let root = parents.root(of: block.parent) else {
            throw DecodingFailure("outcomes under \(block.parent), which is not live")
        }
        for row in block.rows { try labels.check(row.label) }
        let last = block.rows[block.rows.count - 1].sequence
        guard last <= Limits.number else { throw DecodingFailure("sequence \(last)") }
        guard parents.end(block.rows, under: block.parent) else { throw DecodingFailure("more outcomes than children") }
        var misfit: TaskID?
        for row in block.rows {
            let task = TaskID(row.task)
            let ended = live.end(task)
            if ended?.parent != block.parent { misfit = task }
            if let ended, ended.isLast, attributes.remove(ended.run) { changes.endedRun(ended.run) }
            keys.remove(task)
            slots.remove(task)
            if !details.isEmpty, let detail = details.removeValue(forKey: task) { changes.settled(task, detail) }
            if parents.contains(task) { endedParents.append(task) }
        }
        if let misfit { throw DecodingFailure("an outcome of \(misfit), no live child of \(block.parent)") }
        nextSequence = max(nextSequence, last + 1)
        gather(block, below: root)
        changes.touch(block.parent)
        changes.ended(block.rows)
        if block.parent == .none { changes.endedRoots(block) }
    }

    /// Returns false for a task that is not live; it is a parent then all the same.
    @discardableResult
    mutating func insertParent(_ task: TaskID) -> Bool {
        guard !parents.contains(task) else { return true }
        let run = live.run(of: task)?.run
        // The root of its tree is itself for a root task.
        let above = run?.parent ?? .none
        let root = above == .none ? task : parents.root(of: above) ?? task
        parents.insertIfAbsent(task, root: root, cancelRequested: details[task]?.cancelRequested ?? false)
        return run != nil
    }
}
