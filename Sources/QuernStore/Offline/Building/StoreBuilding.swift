// SPDX-License-Identifier: Apache-2.0

/// A store that is being built: its files as far as they are written, and the state that its checkpoint will tell.
struct StoreBuilding {
    private let head: StoreHead
    private let files: StoreFiles
    private let numbers = IndexNumbers()
    private var log: LogBuilder
    private var index: IndexBuilder
    private var state = StoreState()
    private var changes = ChangeCollector()
    /// The last run, until all that its tasks keep is written.
    private var run: LiveRunContents?
    private var lastKept: (task: TaskID, slot: UInt8)?
    private var lastParent: TaskID?

    init(_ head: StoreHead, files: StoreFiles, configuration: MemoStore.Configuration) throws(StoreError) {
        self.head = head
        self.files = files
        try Self.check(head)
        state.blockSizes = configuration.blockSizes
        for (index, name) in head.names.enumerated() {
            do throws(DecodingFailure) {
                try state.labels.define(name, as: Label(rawValue: UInt32(index + 1)))
            } catch { throw Self.rejected(error.reason) }
        }
        for (name, value) in head.values {
            guard state.values[name] == nil else { throw Self.rejected("the value '\(name)' twice") }
            state.values[name] = value
        }
        guard state.values.bytes <= Limits.namedValuesBytes else { throw Self.rejected("too many named values") }
        index = IndexBuilder(files: files, configuration: configuration, numbers: numbers)
        do throws(FileError) {
            log = try LogBuilder(files: files, configuration: configuration)
            try log.begin(head)
        } catch { throw StoreError("cannot write the log", error) }
    }

    private static func check(_ head: StoreHead) throws(StoreError) {
        // What is built can be opened to be written.
        guard Limits.writable.contains(head.nextID), Limits.writable.contains(head.nextSequence) else {
            throw rejected("next id \(head.nextID), next position \(head.nextSequence)")
        }
        guard head.names.allSatisfy({ (1...Limits.nameBytes).contains($0.utf8.count) }) else {
            throw rejected("the length of a name")
        }
        for (name, value) in head.values {
            guard (1...Limits.nameBytes).contains(name.utf8.count), value.count <= Limits.namedValueBytes else {
                throw rejected("the length of a named value")
            }
        }
    }

    private static func rejected(_ reason: String) -> StoreError { StoreError(.rejected, reason) }

    private static func writing<Value>(_ body: () throws(FileError) -> Value) throws(StoreError) -> Value {
        try StoreError.wrapping("cannot write the log", body)
    }

    // MARK: Live tasks

    mutating func add(_ run: LiveRunContents) throws(StoreError) {
        try finishRun()
        guard lastParent == nil, index.children == 0 else { throw Self.rejected("a live run behind parents") }
        try check(run)
        let place = try Self.writing { () throws(FileError) in try log.append(run) }
        var spawned = SpawnRun(
            firstID: run.firstID, parent: run.parent, submittedAt: run.submittedAt, label: Label(rawValue: run.label),
            count: UInt8(run.count), priority: run.priority, segment: place.segment, frameOffset: place.frameOffset,
            recordOffset: place.recordOffset)
        spawned.payloadBytes = place.bytes
        let live = run.tasks.reduce(into: 0 as UInt64) { $0 |= 1 << ($1.id.rawValue - run.firstID.rawValue) }
        for task in run.tasks {
            if let detail = task.detail { state.details[task.id] = detail }
        }
        state.spawn(spawned, attributes: run.attributes, absent: spawned.allBits & ~live, changes: &changes)
        changes = ChangeCollector()
        for task in run.tasks {
            if let key = task.key { state.keys.give(key, to: task.id, inRunFrom: run.firstID) }
        }
        self.run = run
    }

    private func check(_ run: LiveRunContents) throws(StoreError) {
        let first = run.firstID.rawValue
        guard (1...SpawnRun.capacity).contains(run.count), first >= state.nextID, first < head.nextID,
            UInt64(run.count) <= head.nextID - first, !run.tasks.isEmpty
        else { throw Self.rejected("a run of \(run.count) tasks from \(first), behind \(state.nextID)") }
        guard run.parent == .none || state.live.contains(run.parent), run.parent < run.firstID else {
            throw Self.rejected("live tasks from \(first) under \(run.parent), which is not live")
        }
        guard run.attributes.count <= Limits.attributeBytes else { throw Self.rejected("the length of attributes") }
        if !state.labels.defines(run.label) { throw Self.rejected("label \(run.label), which no name has") }
        var last: UInt64?
        var bytes = 0
        for task in run.tasks {
            let id = task.id.rawValue
            guard id >= first, id - first < UInt64(run.count), last.map({ $0 < id }) ?? true else {
                throw Self.rejected("task \(id) in the run from \(first)")
            }
            last = id
            bytes += task.payload.count
            guard task.payload.count <= Limits.valueBytes else { throw Self.rejected("the length of a payload") }
            guard task.key.map({ state.keys.task(for: $0) == nil }) ?? true else {
                throw Self.rejected("the key of task \(id) twice")
            }
            guard task.detail?.cancel?.isCancel ?? true else { throw Self.rejected("the cancel of task \(id)") }
        }
        let keys = run.tasks.compactMap(\.key)
        guard Set(keys).count == keys.count else { throw Self.rejected("a key twice in the run from \(first)") }
        guard bytes <= LogBuilder.payloadLimit else { throw Self.rejected("the length of a run's payloads") }
    }

    mutating func add(_ kept: KeptContents) throws(StoreError) {
        guard let run, let task = run.tasks.first(where: { $0.id == kept.task }),
            lastKept.map({ $0 < (kept.task, kept.slot) }) ?? true
        else { throw Self.rejected("slot \(kept.slot) of task \(kept.task), out of order") }
        guard kept.value.count <= Limits.valueBytes else { throw Self.rejected("the length of a slot's content") }
        lastKept = (kept.task, kept.slot)
        // Who applies the log finds the phase as well.
        let note: Transaction.Note =
            if kept.slot == SlotTable.handover, let phase = task.detail?.phase, phase != 0 {
                .advance(kept.task, phase: phase, value: kept.value)
            } else { .keep(kept.task, slot: kept.slot, value: kept.value) }
        let place = try Self.writing { () throws(FileError) in try log.append(note) }
        state.slots[kept.task, kept.slot] = LogPlace(place, bytes: kept.value.count)
    }

    /// Notes what is known of the tasks of the last run.
    private mutating func finishRun() throws(StoreError) {
        guard let run else { return }
        self.run = nil
        lastKept = nil
        try Self.writing { () throws(FileError) in
            for task in run.tasks {
                if let detail = task.detail { try log.append(detail, of: task.id) }
                if let key = task.key { try log.append(key, of: task.id) }
            }
        }
    }

    // MARK: Parents and children

    mutating func add(_ parent: ParentContents) throws(StoreError) {
        try finishRun()
        guard index.children == 0, lastParent.map({ $0 < parent.id }) ?? true,
            parent.id == .none || state.live.contains(parent.id)
        else { throw Self.rejected("parent \(parent.id), which is not live, or out of order") }
        guard parent.firstFailure.rawValue < head.nextID else {
            throw Self.rejected("a failure of \(parent.firstFailure)")
        }
        lastParent = parent.id
        state.insertParent(parent.id)
        guard var status = state.parents.status(of: parent.id), let root = state.parents.root(of: parent.id) else {
            return
        }
        status.firstFailure = parent.firstFailure
        state.parents.restore(ParentTable.Record(status: status, root: root))
    }

    mutating func add(_ rows: OutcomeBlock) throws(StoreError) {
        try finishRun()
        var rows = rows
        let parent = rows.parent
        guard parent.rawValue < head.nextID, !rows.rows.isEmpty else {
            throw Self.rejected("children of \(parent), which nobody spawned")
        }
        let isLive = parent == .none || state.live.contains(parent)
        if isLive {
            state.insertParent(parent)
            rows.root = state.parents.root(of: parent) ?? .none
        }
        guard parent == .none || rows.root != .none && rows.root <= parent else {
            throw Self.rejected("children of \(parent) in the tree of \(rows.root)")
        }
        for row in rows.rows {
            guard row.task > parent.rawValue, row.task < head.nextID,
                state.live.count == 0 || !state.live.contains(TaskID(row.task))
            else { throw Self.rejected("the end of task \(row.task) under \(parent)") }
            guard row.sequence > 0, row.sequence < head.nextSequence, Int(row.valueLength) <= Limits.valueBytes else {
                throw Self.rejected("the child at position \(row.sequence)")
            }
            if !state.labels.defines(row.label) { throw Self.rejected("label \(row.label), which no name has") }
        }
        try index.add(rows)
        guard isLive else { return }
        state.parents.spawn(UInt64(rows.rows.count), under: parent)
        _ = state.parents.end(rows.rows, under: parent)
    }

    // MARK: The end

    /// Makes everything durable, and then count.
    mutating func finish() throws(StoreError) -> StoreBuilder.Report {
        try finishRun()
        for (task, detail) in state.details where detail.phase != 0 {
            state.insertParent(task)
            state.parents.advance(task, to: detail.phase)
        }
        state.nextID = head.nextID
        state.nextSequence = head.nextSequence
        state.inFlight = head.inFlight.filter { state.live.contains($0) }
        var contents = MemoIndex(numbers: numbers)
        contents.sealed = try index.seal()
        let manifest = Manifest(
            generation: 0, identity: files.identity, epoch: files.epoch, checkpointNumber: 0, checkpointChecksum: 0,
            isClean: true, newestLog: log.segment)
        do throws(FileError) {
            try log.finish()
            let writer = CheckpointWriter(files: files, manifest: ManifestFile(manifest, in: files))
            let size = try writer.write(
                state: state, index: contents, position: log.position, isClean: state.inFlight.isEmpty)
            try CheckpointWriter.mirror(1, size: Int(size), in: files)
        } catch { throw StoreError("cannot write the checkpoint", error) }
        return StoreBuilder.Report(children: index.children, liveTasks: state.live.count)
    }
}
