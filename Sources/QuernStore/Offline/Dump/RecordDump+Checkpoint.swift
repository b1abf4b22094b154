// SPDX-License-Identifier: Apache-2.0

/// The records of checkpoints.
extension RecordDump {
    func read(
        _ kind: CheckpointRecord, _ reader: inout ByteReader, _ item: inout DumpItem, _ rows: inout [DumpItem]
    ) throws(DecodingFailure) {
        func row(_ name: String, _ fields: [DumpField]) {
            rows.append(DumpItem(kind: .row, name: name, offset: item.offset, fields: fields))
        }
        func number<Integer: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
            _ name: String, _: Integer.Type
        ) throws(DecodingFailure) {
            item.fields.append(DumpField(name, try reader.littleEndian(Integer.self)))
        }
        switch kind {
        case .base:
            try number("next_id", UInt64.self)
            try number("next_sequence", UInt64.self)
            try number("log_segment", UInt32.self)
            try number("log_offset", UInt64.self)
            item.fields.append(DumpField("log_checksum", .checksum(try reader.littleEndian())))
            try number("next_index_number", UInt32.self)
        case .runs:
            while !reader.isAtEnd {
                let entry = try LiveTasks.Run(&reader)
                row("run", run(entry.run, isStaged: false) + [DumpField("live", .bits(entry.live))])
            }
        case .stage:
            try number("stage", UInt64.self)
            while !reader.isAtEnd { row("run", run(try SpawnRun(&reader), isStaged: true)) }
        case .parent: item.fields += parent(try ParentTable.Record(&reader))
        case .detail:
            try number("task", UInt64.self)
            item.fields += detail(try LiveTasks.Detail(&reader))
        case .openBlock, .endedBlock: readBlock(try reader.take(reader.remaining), &item, &rows)
        case .sealedSegment:
            try number("number", UInt32.self)
            try number("directory_offset", UInt64.self)
            try number("entries", UInt32.self)
            item.fields.append(DumpField("tier", try reader.byte()))
        case .openSegment:
            try number("number", UInt32.self)
            try number("counting_length", UInt64.self)
            item.fields.append(DumpField("last_checksum", .checksum(try reader.littleEndian())))
        case .entries:
            while !reader.isAtEnd { row("entry", entry(try DirectoryEntry(&reader))) }
        case .dropped:
            while !reader.isAtEnd { row("dropped", tree(try DroppedTree(&reader))) }
        case .attributes:
            try number("stage", UInt64.self)
            try number("first_id", UInt64.self)
            item.fields.append(content("attributes", try reader.take(reader.remaining)))
        case .value: try readValue(&reader, &item)
        case .keys:
            try number("stage", UInt64.self)
            item.fields.append(DumpField("duplicates", try reader.byte()))
            while !reader.isAtEnd {
                let task: UInt64 = try reader.littleEndian()
                row("key", [DumpField("task", task), key(try TaskKey(&reader))])
            }
        case .slots:
            item.fields.append(DumpField("slot", try reader.byte()))
            while !reader.isAtEnd {
                let task: UInt64 = try reader.littleEndian()
                row("slot", [DumpField("task", task)] + place(try LogPlace(&reader)))
            }
        }
    }

    private func parent(_ record: ParentTable.Record) -> [DumpField] {
        let status = record.status
        return [
            DumpField("id", status.id), DumpField("root", record.root), DumpField("phase", status.phase),
            DumpField("cancel", .flag(status.cancelRequested)), DumpField("live_children", status.liveChildren),
            DumpField("ended_by_kind", .numbers(OutcomeKind.allCases.map { status.counts[$0] })),
            DumpField("first_failure", status.firstFailure),
        ]
    }

    private func detail(_ detail: LiveTasks.Detail) -> [DumpField] {
        var fields = [
            DumpField("phase", detail.phase), DumpField("cancel_kind", detail.cancel?.rawValue ?? 0),
            DumpField("crashes", detail.crashes), DumpField("attempts", detail.attempts),
            DumpField("not_before", .time(detail.notBefore.rawValue)),
        ]
        if let priority = detail.priority { fields.append(DumpField("priority", priority)) }
        return fields
    }
}

extension CheckpointRecord {
    /// As FORMAT.md has it.
    var name: String {
        switch self {
        case .base: "base"
        case .runs: "runs"
        case .parent: "parent"
        case .detail: "detail"
        case .openBlock: "open_block"
        case .sealedSegment: "sealed_segment"
        case .openSegment: "open_segment"
        case .entries: "entries"
        case .endedBlock: "ended_block"
        case .stage: "stage"
        case .dropped: "dropped"
        case .attributes: "attributes"
        case .value: "value"
        case .keys: "keys"
        case .slots: "slots"
        }
    }
}
