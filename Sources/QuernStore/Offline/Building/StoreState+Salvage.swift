// SPDX-License-Identifier: Apache-2.0

/// What a state takes over from elsewhere when the checkpoint or the log that made it was damaged.
extension StoreState {
    /// Applies a record that may tell of what this state should have known and does not. Returns false when it is to be
    /// applied as any other.
    mutating func salvage(
        _ kind: LogRecord.Kind, _ fields: UnsafeRawBufferPointer, at place: LogPlace
    ) throws(DecodingFailure) -> Bool {
        var reader = ByteReader(fields)
        switch kind {
        case .define:
            let (label, name) = try LogRecord.definition(&reader)
            try labels.restore(name, as: label)
            return true
        case .spawn:
            try labels.assume(upTo: try SpawnRecord(fields).label)
            return false
        case .relocatedSpawn:
            let record = try SpawnRecord(fields)
            let run = record.run(at: place)
            guard live.entry(ofRunWith: run.firstID) == nil else { return false }
            try labels.assume(upTo: record.label)
            adopt(LiveTasks.Run(run: run, live: run.allBits))
            return true
        case .relocatedKept:
            let task = TaskID(try reader.littleEndian())
            let slot = try reader.byte()
            _ = try LogPlace(&reader)
            guard live.contains(task), slots[task, slot] == nil else { return false }
            slots[task, slot] = LogPlace(place, bytes: reader.remaining)
            return true
        default: return false
        }
    }

    /// Takes over what another state knows of tasks and this one does not. What both know stays as it is here.
    ///
    /// - Parameter ids: those of live tasks that may be missing here: others have ended.
    /// - Returns: the tasks that were not live here.
    mutating func adopt(_ other: StoreState, ids: [Range<UInt64>]) -> [TaskID] {
        try? labels.adopt(other.labels)
        var adopted: [TaskID] = []
        for entry in other.live.runs where entry.live != 0 {
            guard ids.contains(where: { $0.contains(entry.run.firstID.rawValue) }),
                (try? labels.assume(upTo: entry.run.label.rawValue)) != nil, adopt(entry)
            else { continue }
            adopted += entry.tasks
        }
        for (run, bytes) in other.attributes.all where live.entry(ofRunWith: run) != nil && attributes[run].isEmpty {
            attributes.insert(bytes, of: run)
        }
        for (task, key) in other.keys.all where keys.key(of: task) == nil && keys.task(for: key) == nil {
            if let run = live.run(of: task)?.run { keys.give(key, to: task, inRunFrom: run.firstID) }
        }
        for (slot, task, place) in other.slots.all where live.contains(task) && slots[task, slot] == nil {
            slots[task, slot] = place
        }
        for (task, detail) in other.details where live.contains(task) && details[task] == nil {
            details[task] = detail
        }
        for record in other.parents.records where live.contains(record.status.id) && !parents.contains(record.status.id)
        {
            parents.restore(record)
        }
        for (name, value) in other.values.values(withPrefix: "") where values[name] == nil { values[name] = value }
        if inFlight.isEmpty { inFlight = other.inFlight.filter { live.contains($0) } }
        nextID = max(nextID, other.nextID)
        nextSequence = max(nextSequence, other.nextSequence)
        return adopted
    }

    @discardableResult
    private mutating func adopt(_ entry: LiveTasks.Run) -> Bool {
        guard live.insert(entry.run, live: entry.live) else { return false }
        insertParent(entry.run.parent)
        parents.spawn(UInt64(entry.live.nonzeroBitCount), under: entry.run.parent)
        return true
    }
}

extension OfflineStore {
    /// The log is applied from its beginning, to what a checkpoint that says nothing of its place has beside tasks.
    mutating func beginWithoutCheckpoint() {
        state = StoreState()
        guard let remains = checkpointLoss?.remains else {
            checkpointLoss = CheckpointLoss()
            return
        }
        state.labels = remains.labels
        state.values = remains.values
        state.dropped = remains.dropped
        var scratch = OutcomeBlockScratch()
        for block in Array(remains.openBlocks.values) + remains.endedBlocks {
            tail[block.parent, default: []].append(OfflineBlock(BlockExtent(encoding: block, scratch: &scratch)))
        }
    }

    /// Takes over what the log, or what is left of the checkpoint, says of live tasks and the rest does not. Some of
    /// them may have ended: ``OfflineContents`` knows by their rows.
    ///
    /// - Returns: tasks that were not live before.
    mutating func adoptLostTasks() -> [TaskID] {
        guard let loss = checkpointLoss else { return [] }
        if let remains = loss.remains { return state.adopt(remains, ids: loss.ids) }
        guard base != nil else { return [] }
        var begun = StoreState()
        begun.labels = state.labels
        var replay = OfflineReplay(raw, state: begun, isPartial: true, keepsRows: false)
        replay.run(from: nil, newest: manifest?.newestLog)
        return state.adopt(replay.state, ids: loss.ids)
    }
}
