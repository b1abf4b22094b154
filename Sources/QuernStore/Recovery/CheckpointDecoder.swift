// SPDX-License-Identifier: Apache-2.0

/// Reads a checkpoint back from its whole file. Anything that is not as written is damage: the file was synced before
/// the manifest named it.
struct CheckpointDecoder {
    private(set) var state = StoreState()
    /// Whether records may be missing that others rest on: of a damaged checkpoint the rest is read all the same.
    var isPartial = false
    private(set) var position: LogPosition?
    private(set) var sealed: [Checkpoint.Sealed] = []
    private(set) var open: Checkpoint.Open?
    private(set) var nextIndexNumber: UInt32 = 1

    static func decode(
        _ frames: CheckpointFrames, checksum: UInt32
    ) throws(CheckpointFrames.Failure) -> Checkpoint {
        var decoder = CheckpointDecoder()
        try frames.forEach(checksum: checksum) { (body) throws(DecodingFailure) in try decoder.apply(body) }
        do throws(DecodingFailure) {
            guard let position = decoder.position else { throw DecodingFailure("no base record") }
            try decoder.check(position)
            try decoder.checkFamilies()
            return Checkpoint(
                position: position, state: decoder.state, sealed: decoder.sealed, open: decoder.open,
                nextIndexNumber: decoder.nextIndexNumber)
        } catch { throw .damaged(error.reason, at: FileHeader.size) }
    }

    /// Checks what no record can check by itself.
    func check(_ position: LogPosition) throws(DecodingFailure) {
        guard Limits.given.contains(state.nextID), Limits.given.contains(state.nextSequence),
            position.segment <= Limits.segments, nextIndexNumber <= Limits.segments,
            (UInt64(FileHeader.size)...Limits.fileBytes).contains(position.offset)
        else { throw DecodingFailure("base record") }
        // A number that is given out again would replace its segment.
        guard max(sealed.map(\.number).max() ?? 0, open?.number ?? 0) < nextIndexNumber else {
            throw DecodingFailure("an index segment behind the next number")
        }
        if let last = state.live.runs.last, last.run.firstID.rawValue + UInt64(last.run.count) > state.nextID {
            throw DecodingFailure("a live run behind the next id")
        }
        if let last = state.dropped.trees.last, last.sequence >= state.nextSequence {
            throw DecodingFailure("a dropped tree behind the next sequence")
        }
        guard let open else { return }
        guard open.length <= Limits.fileBytes else { throw DecodingFailure("length of an index segment") }
        for entry in open.entries where !entry.lies(before: open.length) {
            throw DecodingFailure("a directory entry points outside its segment")
        }
    }

    /// Checks that live tasks and their parents tell the same of each other: who resolves a parent counts on that. Only
    /// for a checkpoint of which nothing is missing. O(live runs).
    func checkFamilies() throws(DecodingFailure) {
        switch state.familyMisfits.first {
        case nil: break
        case .endedParent(let parent): throw DecodingFailure("parent \(parent), which is not live")
        case .counter(let parent, let counted, let living):
            throw DecodingFailure("parent \(parent) has \(counted) live children by its counter, and \(living)")
        case .orphans(let parent, _): throw DecodingFailure("live children of \(parent), which is no parent")
        }
        for record in state.parents.records where record.status.firstFailure.rawValue >= state.nextID {
            throw DecodingFailure("first failed child \(record.status.firstFailure) of \(record.status.id)")
        }
        for (task, _) in state.details where !state.live.contains(task) {
            throw DecodingFailure("detail of \(task), which is not live")
        }
    }

    private mutating func apply(_ body: UnsafeRawBufferPointer) throws(DecodingFailure) {
        try LogRecord.forEach(in: body) { (kind, _, fields) throws(DecodingFailure) in try apply(kind, fields) }
    }

    /// Takes one record. After an error it is as before, or has a part of the record.
    mutating func apply(_ kind: UInt8, _ fields: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(fields)
        guard let record = CheckpointRecord(rawValue: kind) else {
            return try state.restore(kind, fields)
        }
        switch record {
        case .base:
            state.nextID = try reader.littleEndian()
            state.nextSequence = try reader.littleEndian()
            position = LogPosition(
                segment: try reader.littleEndian(), offset: try reader.littleEndian(),
                checksum: try reader.littleEndian())
            nextIndexNumber = try reader.littleEndian()
        case .runs:
            while !reader.isAtEnd {
                let entry = try LiveTasks.Run(&reader)
                try check(label: entry.run.label.rawValue)
                if let last = state.live.runs.last {
                    guard last.run.firstID.rawValue + UInt64(last.run.count) <= entry.run.firstID.rawValue else {
                        throw DecodingFailure("live runs out of order")
                    }
                }
                state.live.append(entry.run, live: entry.live)
            }
        case .stage:
            let number: UInt64 = try reader.littleEndian()
            guard number > 0, number <= Limits.number else { throw DecodingFailure("stage \(number)") }
            state.lastStage = max(state.lastStage, number)
            while !reader.isAtEnd {
                let run = try SpawnRun(&reader)
                try check(label: run.label.rawValue)
                try state.stages[number, default: StagedSpawns()].append(run)
            }
        case .attributes:
            let stage: UInt64 = try reader.littleEndian()
            try restoreAttributes(ofStage: stage, of: try reader.littleEndian(), try reader.take(reader.remaining))
        case .keys: try restoreKeys(&reader)
        case .parent:
            state.parents.restore(try ParentTable.Record(&reader))
        case .detail:
            let task = TaskID(try reader.littleEndian())
            state.details[task] = try LiveTasks.Detail(&reader)
        case .value:
            let record = try ValueRecord(&reader)
            guard let value = record.value, state.values[record.name] == nil else {
                throw DecodingFailure("named value")
            }
            state.values[record.name] = value
            guard state.values.bytes <= Limits.namedValuesBytes else { throw DecodingFailure("named values") }
        case .slots:
            let slot = try reader.byte()
            while !reader.isAtEnd {
                let task = TaskID(try reader.littleEndian())
                guard state.live.contains(task), state.slots[task, slot] == nil else {
                    throw DecodingFailure("what \(task) keeps")
                }
                state.slots[task, slot] = try LogPlace(&reader)
            }
        case .openBlock:
            let block = try block(fields)
            if isPartial, state.parents.root(of: block.parent) == nil {
                state.restoreEnded(block)
            } else {
                try state.restoreOpen(block)
            }
        case .endedBlock: state.restoreEnded(try block(fields))
        case .dropped:
            while !reader.isAtEnd {
                guard state.dropped.insert(try DroppedTree(&reader)) else {
                    throw DecodingFailure("a tree dropped twice")
                }
            }
        case .sealedSegment:
            let segment = Checkpoint.Sealed(
                number: try reader.littleEndian(), directoryOffset: try reader.littleEndian(),
                entryCount: try reader.littleEndian(), tier: try reader.byte())
            guard segment.directoryOffset <= Limits.fileBytes, segment.entryCount <= Limits.directoryEntries else {
                throw DecodingFailure("sealed segment \(segment.number)")
            }
            sealed.append(segment)
        case .openSegment:
            open = Checkpoint.Open(
                number: try reader.littleEndian(), length: try reader.littleEndian(),
                checksum: try reader.littleEndian(), entries: [])
        case .entries:
            guard open != nil else { throw DecodingFailure("directory entries without segment") }
            while !reader.isAtEnd { open!.entries.append(try DirectoryEntry(&reader)) }
            guard open!.entries.count <= Limits.directoryEntries else { throw DecodingFailure("entries") }
        }
    }

    private mutating func restoreAttributes(
        ofStage stage: UInt64, of firstID: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws(DecodingFailure) {
        guard (1...Limits.attributeBytes).contains(bytes.count) else { throw DecodingFailure("length of attributes") }
        if stage != 0 {
            guard try state.stages[stage]?.restore(Array(bytes), at: firstID) != nil else {
                throw DecodingFailure("attributes in no stage")
            }
            return
        }
        let run = TaskID(firstID)
        guard state.live.entry(ofRunWith: run)?.run.firstID == run, state.attributes[run].isEmpty else {
            throw DecodingFailure("attributes of no run")
        }
        state.attributes.insert(Array(bytes), of: run)
    }

    private mutating func restoreKeys(_ reader: inout ByteReader) throws(DecodingFailure) {
        let number: UInt64 = try reader.littleEndian()
        let policy = DuplicatePolicy(rawValue: try reader.byte())
        var keys: [(task: UInt64, key: TaskKey)] = []
        while !reader.isAtEnd { keys.append((try reader.littleEndian(), try TaskKey(&reader))) }
        if number != 0 {
            guard let policy, let first = keys.first?.task,
                try state.stages[number]?.restore(
                    .init(position: first, policy: policy, keys: keys.map(\.key))) != nil
            else { throw DecodingFailure("keys in no stage") }
            return
        }
        for (task, key) in keys {
            let task = TaskID(task)
            guard let run = state.live.run(of: task)?.run, state.keys.task(for: key) == nil,
                state.keys.key(of: task) == nil
            else { throw DecodingFailure("key of \(task)") }
            state.keys.give(key, to: task, inRunFrom: run.firstID)
        }
    }

    private mutating func check(label: UInt32) throws(DecodingFailure) {
        if isPartial { try state.labels.assume(upTo: label) }
        try state.labels.check(label)
    }

    private mutating func block(_ fields: UnsafeRawBufferPointer) throws(DecodingFailure) -> OutcomeBlock {
        var block = ChildBlock()
        var scratch: [UInt8] = []
        try OutcomeBlockReader.decode(fields, columns: .stored, scratch: &scratch, into: &block)
        let restored = block.outcomeBlock()
        for row in restored.rows { try check(label: row.label) }
        return restored
    }
}

extension StoreState {
    /// Applies a record that a checkpoint shares with the log.
    fileprivate mutating func restore(_ kind: UInt8, _ fields: UnsafeRawBufferPointer) throws(DecodingFailure) {
        guard let kind = LogRecord.Kind(rawValue: kind), kind == .define || kind == .inFlight else {
            throw DecodingFailure("record kind \(kind)")
        }
        var changes = ChangeCollector()
        try apply(kind, fields, at: LogPlace(segment: 0, frameOffset: 0, recordOffset: 0), changes: &changes)
    }
}
