// SPDX-License-Identifier: Apache-2.0

/// Ids are given out, and records written.
extension Batch {
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
                        label: group.key.label, count: lengths.count, priority: group.key.priority,
                        attributes: group.key.attributes, policy: group.key.policy,
                        keys: group.keys.isEmpty ? [] : group.keys[start..<(start + count)], to: &$0)
                    IntegerColumn.encode(count: lengths.count, into: &$0) { Int64(lengths[start + $0]) }
                    $0.append(contentsOf: group.payloads[offset..<(offset + bytes)])
                }
                id += UInt64(count)
                start += count
                offset += bytes
                if body.count >= Limits.spawnFrameTarget { emit(&body, false) }
            }
        }
        stages.encode(nextID: &nextID, to: &body, emitIfFull)
        for (label, name) in definitions { LogRecord.append(label, name: name, to: &body) }
        for (key, holder) in keys.moved {
            LogRecord.append(key, of: id(of: holder), to: &body)
            emitIfFull(&body)
        }
        var effects = keys.effects[...]
        for place in 0...notes.count {
            while let next = effects.first, next.notes == place {
                LogRecord.append(note(next.effect, on: id(of: next.holder)), to: &body)
                emitIfFull(&body)
                effects.removeFirst()
            }
            guard place < notes.count else { break }
            LogRecord.append(notes[place], to: &body)
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

    /// Valid once ids are given out.
    private func id(of holder: BatchKeys.Holder) -> TaskID {
        switch holder {
        case .task(let task): task
        case .spawned(let group, let index): TaskID(firstID[group] + UInt64(index))
        case .staged(let commit, let position): TaskID(stages.commits[commit].firstID + position)
        }
    }

    private func note(_ effect: BatchKeys.Effect, on task: TaskID) -> Transaction.Note {
        switch effect {
        case .supersede: .cancel(task, as: .superseded)
        case .prioritize(let priority): .priority(task, priority)
        }
    }

    private func disposition(_ fate: BatchKeys.Fate) -> SpawnDisposition {
        switch fate {
        case .inserted(let holder): .inserted(id(of: holder))
        case .duplicate(let holder): .duplicate(of: id(of: holder))
        case .upgraded(let holder): .upgraded(id(of: holder))
        case .replaced(let old, let new): .replaced(id(of: old), by: id(of: new))
        }
    }

    /// The receipt with ids. Valid after ``encode(firstID:body:scratch:emit:)``.
    func commit(_ receipt: Receipt) -> Commit {
        let staged = stages.commits[receipt.stages]
        return Commit(
            sequence: receipt.sequence,
            spawned: stretches[receipt.spawns].map { spawn in
                let first = firstID[spawn.group] + UInt64(spawn.start)
                return first..<(first + UInt64(spawn.count))
            }, staged: staged.map { $0.firstID..<($0.firstID + $0.count) }, counts: receipt.counts,
            absentPositions: staged.map(\.absent), dispositions: keys.fates[receipt.fates].map(disposition),
            stagedDispositions: receipt.stagedFates.isEmpty
                ? [:]
                : Dictionary(
                    uniqueKeysWithValues: keys.stagedFates[receipt.stagedFates].map {
                        (id(of: $0.holder), disposition($0.fate))
                    }))
    }
}
