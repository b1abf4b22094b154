// SPDX-License-Identifier: Apache-2.0

/// What is in the body of a frame, as ``DumpItem``s. Each is read as far as it can be.
struct RecordDump {
    /// Bytes of what cannot be read that are shown.
    private static let shownBytes = 64

    let redacts: Bool

    /// What the application wrote.
    func content(_ name: String, _ bytes: some Collection<UInt8>) -> DumpField {
        DumpField(name, redacts ? .redacted(bytes.count) : .bytes(Array(bytes)))
    }

    /// A name that the application gave.
    func name(_ name: String, _ text: String) -> DumpField {
        DumpField(name, redacts ? .redacted(text.utf8.count) : .text(text))
    }

    func emit(_ body: UnsafeRawBufferPointer, ofCheckpoint isCheckpoint: Bool, _ emit: (DumpItem) -> Void) {
        var end = 0
        do throws(DecodingFailure) {
            try LogRecord.forEach(in: body) { (kind, offset, fields) throws(DecodingFailure) in
                end = offset + LogRecord.prefixSize + fields.count
                var item = DumpItem(kind: .record, name: "unknown", offset: offset)
                item.fields.append(DumpField("length", UInt(fields.count)))
                var rows: [DumpItem] = []
                var reader = ByteReader(fields)
                do throws(DecodingFailure) {
                    if isCheckpoint, let kind = CheckpointRecord(rawValue: kind) {
                        item.name = kind.name
                        try read(kind, &reader, &item, &rows)
                    } else if let kind = LogRecord.Kind(rawValue: kind), !isCheckpoint || kind.isShared {
                        item.name = kind.name
                        try read(kind, &reader, &item, &rows)
                    } else {
                        throw DecodingFailure("kind \(kind), which nobody knows")
                    }
                } catch {
                    item.problem = error.reason
                    item.fields.append(content("begins_with", fields.prefix(Self.shownBytes)))
                }
                emit(item)
                for row in rows { emit(row) }
            }
        } catch {
            var item = DumpItem(kind: .record, name: "unknown", offset: end)
            item.problem = error.reason
            item.fields.append(content("begins_with", body[end...].prefix(Self.shownBytes)))
            emit(item)
        }
    }

    // MARK: Records of the log

    private func read(
        _ kind: LogRecord.Kind, _ reader: inout ByteReader, _ item: inout DumpItem, _ rows: inout [DumpItem]
    ) throws(DecodingFailure) {
        func task() throws(DecodingFailure) {
            item.fields.append(DumpField("task", try reader.littleEndian(UInt64.self)))
        }
        func byte(_ name: String) throws(DecodingFailure) { item.fields.append(DumpField(name, try reader.byte())) }
        func rest(_ name: String) throws(DecodingFailure) {
            item.fields.append(content(name, try reader.take(reader.remaining)))
        }
        switch kind {
        case .spawn, .relocatedSpawn: try readSpawn(&reader, isStaged: false, &item, &rows)
        case .stagedSpawn:
            item.fields.append(DumpField("stage", try reader.littleEndian(UInt64.self)))
            try readSpawn(&reader, isStaged: true, &item, &rows)
        case .outcomes: readBlock(try reader.take(reader.remaining), &item, &rows)
        case .advance:
            try task()
            try byte("phase")
            try rest("hand_over")
        case .attempt:
            try task()
            item.fields.append(DumpField("attempts", try reader.littleEndian(UInt32.self)))
            item.fields.append(DumpField("not_before", .time(try reader.littleEndian())))
            try rest("error")
        case .cancel:
            try task()
            try byte("kind")
        case .crash:
            try task()
            try byte("crashes")
        case .priority:
            try task()
            try byte("priority")
        case .keep:
            try task()
            try byte("slot")
            try rest("content")
        case .key:
            try task()
            try rest("key")
        case .relocatedKept:
            try task()
            try byte("slot")
            item.fields += place(try LogPlace(&reader))
            try rest("content")
        case .define:
            item.fields.append(DumpField("label", try reader.littleEndian(UInt32.self)))
            let bytes = try reader.take(reader.remaining)
            item.fields.append(DumpField("name", .text(String(decoding: bytes, as: UTF8.self))))
        case .inFlight:
            var tasks: [UInt64] = []
            while !reader.isAtEnd { tasks.append(try reader.littleEndian()) }
            item.fields.append(DumpField("tasks", .numbers(tasks)))
        case .stageCommit:
            item.fields.append(DumpField("stage", try reader.littleEndian(UInt64.self)))
            item.fields.append(DumpField("first_id", try reader.littleEndian(UInt64.self)))
            while !reader.isAtEnd {
                var row = DumpItem(kind: .row, name: "left_out", offset: item.offset)
                row.fields.append(DumpField("word", try reader.littleEndian(UInt64.self)))
                row.fields.append(DumpField("bits", .bits(try reader.littleEndian())))
                rows.append(row)
            }
        case .stageAbort: item.fields.append(DumpField("stage", try reader.littleEndian(UInt64.self)))
        case .drop: item.fields += tree(try DroppedTree(&reader))
        case .value: try readValue(&reader, &item)
        }
    }

    private func readSpawn(
        _ reader: inout ByteReader, isStaged: Bool, _ item: inout DumpItem, _ rows: inout [DumpItem]
    ) throws(DecodingFailure) {
        let record = try SpawnRecord(try reader.take(reader.remaining), isStaged: isStaged)
        item.fields += [
            DumpField("parent", record.parent), DumpField(isStaged ? "position" : "first_id", record.firstID),
            DumpField("submission_time", .time(record.submittedAt)), DumpField("label", record.label),
            DumpField("count", record.count), DumpField("priority", record.priority),
            DumpField("duplicates", record.policy?.rawValue ?? 0), content("attributes", record.attributes),
        ]
        let keys = try record.keys()
        var offset = 0
        for index in 0..<Int(record.count) {
            let length = Int(record.lengths[index])
            var row = DumpItem(kind: .row, name: "task", offset: item.offset)
            row.fields.append(DumpField(isStaged ? "position" : "id", record.firstID + UInt64(index)))
            if index < keys.count { row.fields.append(key(keys[index])) }
            row.fields.append(content("payload", record.payloads[offset..<(offset + length)]))
            rows.append(row)
            offset += length
        }
    }

    func readValue(_ reader: inout ByteReader, _ item: inout DumpItem) throws(DecodingFailure) {
        let record = try ValueRecord(&reader)
        item.fields.append(name("name", record.name))
        if let value = record.value { item.fields.append(content("value", value)) }
    }

    // MARK: Parts of records

    func key(_ key: TaskKey) -> DumpField {
        var writer = ByteWriter()
        key.append(to: &writer)
        return content("key", writer.bytes)
    }

    func place(_ place: LogPlace) -> [DumpField] {
        [
            DumpField("log_segment", place.segment), DumpField("frame_offset", place.frameOffset),
            DumpField("record_offset", place.recordOffset), DumpField("content_length", place.bytes),
        ]
    }

    func tree(_ tree: DroppedTree) -> [DumpField] {
        [
            DumpField("root", tree.root), DumpField("sequence", tree.sequence), DumpField("kind", tree.kind.rawValue),
            DumpField("row_reclaimed", .flag(tree.isRowReclaimed)),
        ]
    }

    func run(_ run: SpawnRun, isStaged: Bool) -> [DumpField] {
        [
            DumpField(isStaged ? "position" : "first_id", run.firstID), DumpField("parent", run.parent),
            DumpField("submission_time", .time(run.submittedAt.rawValue)), DumpField("label", run.label.rawValue),
            DumpField("count", run.count), DumpField("priority", run.priority),
            DumpField("log_segment", run.segment), DumpField("frame_offset", run.frameOffset),
            DumpField("record_offset", run.recordOffset), DumpField("payload_bytes", run.payloadBytes),
        ]
    }
}

extension LogRecord.Kind {
    fileprivate var isShared: Bool { self == .define || self == .inFlight }

    /// As FORMAT.md has it.
    var name: String {
        switch self {
        case .spawn: "spawn"
        case .outcomes: "outcomes"
        case .advance: "advance"
        case .attempt: "attempt"
        case .cancel: "cancel"
        case .crash: "crash"
        case .define: "define"
        case .inFlight: "in_flight"
        case .relocatedSpawn: "relocated_spawn"
        case .relocatedKept: "relocated_slot"
        case .stagedSpawn: "staged_spawn"
        case .stageCommit: "stage_commit"
        case .stageAbort: "stage_abort"
        case .drop: "drop"
        case .priority: "priority"
        case .value: "value"
        case .keep: "keep"
        case .key: "key"
        }
    }
}
