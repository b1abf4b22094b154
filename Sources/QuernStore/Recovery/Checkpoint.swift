// SPDX-License-Identifier: Apache-2.0

/// What recovery starts from: the live state and the index as they were at a position of the log.
struct Checkpoint {
    var position: LogPosition
    var state: StoreState
    var sealed: [Sealed]
    var open: Open?
    var nextIndexNumber: UInt32

    /// A sealed index segment, by the numbers that find its directory.
    struct Sealed: Equatable {
        var number: UInt32
        var directoryOffset: UInt64
        var entryCount: UInt32
        var tier: UInt8
    }

    /// The index segment that was being appended to, up to the length that counts.
    struct Open {
        var number: UInt32
        var length: UInt64
        var checksum: UInt32
        var entries: [DirectoryEntry]
    }
}

/// The record kinds of a checkpoint's frames. Labels and the in-flight note use the log's kinds.
enum CheckpointRecord: UInt8 {
    case base = 16
    case runs = 17
    case parent = 18
    case detail = 19
    case openBlock = 20
    case sealedSegment = 21
    case openSegment = 22
    case entries = 23
    case stage = 25
    case dropped = 26
}

/// Writes a checkpoint's frames.
struct CheckpointEncoder {
    private var encoder: FrameEncoder
    private var body = ByteWriter()
    private var compressed = ByteWriter()
    private var columns = OutcomeBlockScratch()
    private(set) var output = ByteWriter()

    /// The header checksum of the last frame, by which the manifest knows the file.
    var checksum: UInt32 { encoder.checksum }

    init(identity: StoreIdentity, number: UInt64) {
        encoder = FrameEncoder(
            identity: identity, segment: UInt32(truncatingIfNeeded: number), position: UInt64(FileHeader.size),
            checksum: 0)
    }

    private mutating func add(_ kind: UInt8, _ fields: (inout ByteWriter) -> Void) {
        LogRecord.append(kind, to: &body, fields: fields)
        if body.count >= Limits.frameTarget { flush(.state) }
    }

    private mutating func flush(_ kind: FrameHeader.Kind) {
        _ = body.bytes.withUnsafeBytes {
            encoder.append(kind, body: $0, compress: true, scratch: &compressed, to: &output)
        }
        body.removeAll()
    }

    mutating func encode(state: borrowing StoreState, index: MemoIndex, position: LogPosition) {
        add(CheckpointRecord.base.rawValue) {
            $0.append(littleEndian: state.nextID)
            $0.append(littleEndian: state.nextSequence)
            $0.append(littleEndian: position.segment)
            $0.append(littleEndian: position.offset)
            $0.append(littleEndian: position.checksum)
            $0.append(littleEndian: index.nextNumber)
        }
        for (label, name) in state.names.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            LogRecord.append(label, name: name, to: &body)
            if body.count >= Limits.frameTarget { flush(.state) }
        }
        if !state.inFlight.isEmpty { LogRecord.append(.inFlight(state.inFlight), to: &body) }
        encodeLive(state)
        encodeIndex(index)
        flush(.commit)
    }

    private mutating func encodeLive(_ state: borrowing StoreState) {
        let runs = state.live.runs.filter { $0.live != 0 }
        for start in stride(from: 0, to: runs.count, by: 4096) {
            add(CheckpointRecord.runs.rawValue) {
                for entry in runs[start..<min(start + 4096, runs.count)] { entry.append(to: &$0) }
            }
        }
        for (number, stage) in state.stages.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: stage.runs.count, by: 4096) {
                add(CheckpointRecord.stage.rawValue) {
                    $0.append(littleEndian: number)
                    for run in stage.runs[start..<min(start + 4096, stage.runs.count)] { run.append(to: &$0) }
                }
            }
        }
        for parent in state.parents.values.sorted(by: { $0.status.id < $1.status.id }) {
            add(CheckpointRecord.parent.rawValue) { parent.append(to: &$0) }
            guard !parent.openBlock.rows.isEmpty else { continue }
            let block = parent.openBlock
            LogRecord.append(CheckpointRecord.openBlock.rawValue, to: &body) {
                OutcomeBlockCodec.encode(block, compress: false, scratch: &columns, into: &$0)
            }
            if body.count >= Limits.frameTarget { flush(.state) }
        }
        let dropped = state.dropped.trees
        for start in stride(from: 0, to: dropped.count, by: 4096) {
            add(CheckpointRecord.dropped.rawValue) {
                for tree in dropped[start..<min(start + 4096, dropped.count)] { tree.append(to: &$0) }
            }
        }
        for (task, detail) in state.details.sorted(by: { $0.key < $1.key }) {
            add(CheckpointRecord.detail.rawValue) {
                $0.append(littleEndian: task.rawValue)
                $0.append(detail.phase)
                $0.append(detail.cancelRequested ? 1 : 0)
                $0.append(detail.crashes)
                $0.append(littleEndian: detail.attempts)
                $0.append(littleEndian: detail.notBefore.rawValue)
            }
        }
    }

    private mutating func encodeIndex(_ index: MemoIndex) {
        for segment in index.sealed {
            add(CheckpointRecord.sealedSegment.rawValue) {
                $0.append(littleEndian: segment.file.number)
                $0.append(littleEndian: segment.directoryOffset)
                $0.append(littleEndian: UInt32(segment.entryCount))
                $0.append(segment.tier)
            }
        }
        guard let open = index.open else { return }
        add(CheckpointRecord.openSegment.rawValue) {
            $0.append(littleEndian: open.file.number)
            $0.append(littleEndian: open.encoder.position)
            $0.append(littleEndian: open.encoder.checksum)
        }
        for start in stride(from: 0, to: open.entries.count, by: 4096) {
            add(CheckpointRecord.entries.rawValue) {
                for entry in open.entries[start..<min(start + 4096, open.entries.count)] { entry.append(to: &$0) }
            }
        }
    }
}

extension SpawnRun {
    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: firstID.rawValue)
        writer.append(littleEndian: parent.rawValue)
        writer.append(littleEndian: submittedAt.rawValue)
        writer.append(littleEndian: label.rawValue)
        writer.append(count)
        writer.append(priority)
        writer.append(littleEndian: segment)
        writer.append(littleEndian: frameOffset)
        writer.append(littleEndian: recordOffset)
        writer.append(littleEndian: payloadBytes)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        firstID = TaskID(try reader.littleEndian())
        parent = TaskID(try reader.littleEndian())
        submittedAt = Timestamp(milliseconds: try reader.littleEndian())
        label = Label(rawValue: try reader.littleEndian())
        count = try reader.byte()
        priority = try reader.byte()
        segment = try reader.littleEndian()
        frameOffset = try reader.littleEndian()
        recordOffset = try reader.littleEndian()
        payloadBytes = try reader.littleEndian()
        guard count > 0, Int(count) <= Self.capacity, firstID.rawValue <= Limits.number,
            frameOffset <= Limits.fileBytes
        else { throw DecodingFailure("run of tasks") }
    }
}

extension LiveTasks.Run {
    func append(to writer: inout ByteWriter) {
        run.append(to: &writer)
        writer.append(littleEndian: live)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        run = try SpawnRun(&reader)
        live = try reader.littleEndian()
        guard live & ~run.allBits == 0, live != 0, run.firstID > run.parent else { throw DecodingFailure("live run") }
    }
}

extension ParentState {
    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: status.id.rawValue)
        writer.append(littleEndian: root.rawValue)
        writer.append(status.phase)
        writer.append(status.cancelRequested ? 1 : 0)
        writer.append(littleEndian: status.liveChildren)
        for kind in OutcomeKind.allCases { writer.append(littleEndian: status.counts[kind]) }
        writer.append(littleEndian: status.firstFailure.rawValue)
        writer.append(handover == nil ? 0 : 1)
        (handover ?? LogPlace(segment: 0, frameOffset: 0, recordOffset: 0)).append(to: &writer)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        self.init(id: TaskID(try reader.littleEndian()), root: TaskID(try reader.littleEndian()))
        status.phase = try reader.byte()
        status.cancelRequested = try reader.byte() == 1
        guard root <= status.id else { throw DecodingFailure("root of a tree") }
        status.liveChildren = try reader.littleEndian()
        for kind in OutcomeKind.allCases {
            status.counts[kind] = try reader.littleEndian()
            guard status.counts[kind] <= Limits.number else { throw DecodingFailure("count of outcomes") }
        }
        guard status.liveChildren <= Limits.number else { throw DecodingFailure("count of live children") }
        status.firstFailure = TaskID(try reader.littleEndian())
        let hasHandover = try reader.byte() == 1
        let place = try LogPlace(&reader)
        handover = hasHandover ? place : nil
    }
}
