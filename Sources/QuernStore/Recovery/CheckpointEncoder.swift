// SPDX-License-Identifier: Apache-2.0

/// Writes a checkpoint's frames to its file, one by one: its memory does not depend on what is live.
struct CheckpointEncoder {
    private var encoder: FrameEncoder
    private var file: (any StoreFile)?
    private var syncedUpTo: UInt64 = 0
    private var body = ByteWriter()
    private var compressed = ByteWriter()
    private var output = ByteWriter()
    private var columns = OutcomeBlockScratch()

    /// Written back by the system as it grows: one sync of a large file would hold up those of the log.
    private static let syncBytes: UInt64 = 4 << 20

    /// The header checksum of the last frame, by which the manifest knows the file.
    var checksum: UInt32 { encoder.checksum }
    /// The length of the file.
    var position: UInt64 { encoder.position }

    init(identity: StoreIdentity, number: UInt64) {
        encoder = FrameEncoder(
            identity: identity, segment: UInt32(truncatingIfNeeded: number), position: UInt64(FileHeader.size),
            checksum: 0)
    }

    private mutating func add(_ kind: UInt8, _ fields: (inout ByteWriter) -> Void) throws(FileError) {
        LogRecord.append(kind, to: &body, fields: fields)
        try flushIfFull()
    }

    private mutating func flushIfFull() throws(FileError) {
        if body.count >= Limits.frameTarget { try flush(.state) }
    }

    private mutating func flush(_ kind: FrameHeader.Kind) throws(FileError) {
        let start = encoder.position
        _ = body.bytes.withUnsafeBytes {
            encoder.append(kind, body: $0, compress: true, scratch: &compressed, to: &output)
        }
        try file?.write(output, at: Int(start))
        body.removeAll()
        output.removeAll()
        guard encoder.position - syncedUpTo >= Self.syncBytes else { return }
        try file?.synchronize()
        syncedUpTo = encoder.position
    }

    /// Writes everything behind the header of `file`. The last bytes are not synced.
    mutating func encode(
        state: borrowing StoreState, index: MemoIndex, position: LogPosition, to file: any StoreFile
    ) throws(FileError) {
        self.file = file
        try add(CheckpointRecord.base.rawValue) {
            $0.append(littleEndian: state.nextID)
            $0.append(littleEndian: state.nextSequence)
            $0.append(littleEndian: position.segment)
            $0.append(littleEndian: position.offset)
            $0.append(littleEndian: position.checksum)
            $0.append(littleEndian: index.numbers.next)
        }
        for (index, name) in state.labels.names.enumerated() {
            LogRecord.append(Label(rawValue: UInt32(index + 1)), name: name, to: &body)
            try flushIfFull()
        }
        if !state.inFlight.isEmpty { LogRecord.append(.inFlight(state.inFlight), to: &body) }
        for (name, value) in state.values.values(withPrefix: "") {
            try add(CheckpointRecord.value.rawValue) { ValueRecord.append(name, value, to: &$0) }
        }
        try encodeLive(state)
        try encodeIndex(index)
        try flush(.commit)
        self.file = nil
    }

    private mutating func encodeLive(_ state: borrowing StoreState) throws(FileError) {
        var runs: [LiveTasks.Run] = []
        for entry in state.live.runs where entry.live != 0 {
            runs.append(entry)
            if runs.count == 4096 { try addRuns(&runs) }
        }
        try addRuns(&runs)
        for (run, attributes) in state.attributes.all { try addAttributes(attributes, ofStage: 0, run.rawValue) }
        try addKeys(state.keys)
        for (number, stage) in state.stages.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: stage.runs.count, by: 4096) {
                try add(CheckpointRecord.stage.rawValue) {
                    $0.append(littleEndian: number)
                    for run in stage.runs[start..<min(start + 4096, stage.runs.count)] { run.append(to: &$0) }
                }
            }
            for (position, attributes) in stage.attributes.sorted(by: { $0.key < $1.key }) {
                try addAttributes(attributes, ofStage: number, position)
            }
            for run in stage.keys.runs {
                try addKeys(zip(run.position..., run.keys), ofStage: number, run.policy)
            }
        }
        for parent in state.parents.records {
            try add(CheckpointRecord.parent.rawValue) { parent.append(to: &$0) }
        }
        try addSlots(state.slots)
        for block in state.openBlocks.values { try add(.openBlock, block) }
        for block in state.endedBlocks { try add(.endedBlock, block) }
        let dropped = state.dropped.trees
        for start in stride(from: 0, to: dropped.count, by: 4096) {
            try add(CheckpointRecord.dropped.rawValue) {
                for tree in dropped[start..<min(start + 4096, dropped.count)] { tree.append(to: &$0) }
            }
        }
        for (task, detail) in state.details {
            try add(CheckpointRecord.detail.rawValue) {
                $0.append(littleEndian: task.rawValue)
                detail.append(to: &$0)
            }
        }
    }

    private mutating func addSlots(_ table: SlotTable) throws(FileError) {
        for (slot, places) in table.used {
            var rest = places.makeIterator()
            var next = rest.next()
            while next != nil {
                try add(CheckpointRecord.slots.rawValue) { body in
                    body.append(slot)
                    for _ in 0..<4096 {
                        guard let (task, place) = next else { break }
                        body.append(littleEndian: task.rawValue)
                        place.append(to: &body)
                        next = rest.next()
                    }
                }
            }
        }
    }

    private mutating func add(_ record: CheckpointRecord, _ block: OutcomeBlock) throws(FileError) {
        LogRecord.append(record.rawValue, to: &body) {
            OutcomeBlockCodec.encode(block, compress: false, scratch: &columns, into: &$0)
        }
        try flushIfFull()
    }

    private mutating func addAttributes(
        _ attributes: [UInt8], ofStage stage: UInt64, _ firstID: UInt64
    ) throws(FileError) {
        try add(CheckpointRecord.attributes.rawValue) {
            $0.append(littleEndian: stage)
            $0.append(littleEndian: firstID)
            $0.append(contentsOf: attributes)
        }
    }

    private mutating func addKeys(_ table: KeyTable) throws(FileError) {
        var keys: [(UInt64, TaskKey)] = []
        for (task, key) in table.all {
            keys.append((task.rawValue, key))
            guard keys.count == 4096 else { continue }
            try addKeys(keys, ofStage: 0, nil)
            keys.removeAll(keepingCapacity: true)
        }
        if !keys.isEmpty { try addKeys(keys, ofStage: 0, nil) }
    }

    private mutating func addKeys(
        _ keys: some Sequence<(UInt64, TaskKey)>, ofStage stage: UInt64, _ policy: DuplicatePolicy?
    ) throws(FileError) {
        try add(CheckpointRecord.keys.rawValue) {
            $0.append(littleEndian: stage)
            $0.append(policy?.rawValue ?? 0)
            for (task, key) in keys {
                $0.append(littleEndian: task)
                key.append(to: &$0)
            }
        }
    }

    private mutating func addRuns(_ runs: inout [LiveTasks.Run]) throws(FileError) {
        guard !runs.isEmpty else { return }
        try add(CheckpointRecord.runs.rawValue) { for entry in runs { entry.append(to: &$0) } }
        runs.removeAll(keepingCapacity: true)
    }

    private mutating func encodeIndex(_ index: MemoIndex) throws(FileError) {
        for segment in index.sealed {
            try add(CheckpointRecord.sealedSegment.rawValue) {
                $0.append(littleEndian: segment.file.number)
                $0.append(littleEndian: segment.directoryOffset)
                $0.append(littleEndian: UInt32(segment.entryCount))
                $0.append(segment.tier)
            }
        }
        guard let open = index.open else { return }
        try add(CheckpointRecord.openSegment.rawValue) {
            $0.append(littleEndian: open.file.number)
            $0.append(littleEndian: open.encoder.position)
            $0.append(littleEndian: open.encoder.checksum)
        }
        for piece in open.directory.pieces where !piece.isEmpty {
            try add(CheckpointRecord.entries.rawValue) { for entry in piece { entry.append(to: &$0) } }
        }
    }
}
