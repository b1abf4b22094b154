// SPDX-License-Identifier: Apache-2.0

/// Outcome blocks, directories, and the manifest's body.
extension RecordDump {
    /// All blocks of a frame's body.
    func emitBlocks(_ body: UnsafeRawBufferPointer, _ emit: (DumpItem) -> Void) {
        var start = 0
        while start < body.count {
            var item = DumpItem(kind: .block, name: "block", offset: start)
            var rows: [DumpItem] = []
            let rest = UnsafeRawBufferPointer(rebasing: body[start...])
            let length = (try? OutcomeBlockReader.length(rest)) ?? rest.count
            readBlock(UnsafeRawBufferPointer(rebasing: rest[..<length]), &item, &rows)
            emit(item)
            for row in rows { emit(row) }
            start += length
        }
    }

    /// The header of a block, and each of its rows.
    func readBlock(_ bytes: UnsafeRawBufferPointer, _ item: inout DumpItem, _ rows: inout [DumpItem]) {
        do throws(DecodingFailure) {
            var reader = ByteReader(bytes)
            let header = try OutcomeBlockHeader(&reader)
            item.fields += [
                DumpField("parent", header.parent), DumpField("root", header.root),
                DumpField("last_sequence", header.lastSequence), DumpField("rows", UInt(header.rowCount)),
                DumpField("failures", UInt(header.failureCount)), DumpField("memo_length", header.memoLength),
                DumpField("shuffled", .flag(header.varyingPlanes != nil)),
                DumpField("planes", .bits(header.varyingPlanes ?? 0)),
                DumpField("facts_codec", header.factsCodec.rawValue),
                DumpField("memos_codec", header.memosCodec.rawValue),
                DumpField("facts_decoded", UInt(header.factsRaw)), DumpField("facts_stored", UInt(header.factsStored)),
                DumpField("memos_decoded", UInt(header.memosRaw)), DumpField("memos_stored", UInt(header.memosStored)),
                DumpField("attachments_codec", header.attachmentsCodec.map { $0.rawValue + 1 } ?? 0),
            ]
            var block = ChildBlock()
            var scratch: [UInt8] = []
            try OutcomeBlockReader.decode(bytes, columns: .stored, scratch: &scratch, into: &block)
            block.hasFacts = true
            block.hasAttachments = true
            for index in 0..<block.count { rows.append(row(block, index, at: item.offset)) }
        } catch {
            item.problem = error.reason
            item.fields.append(content("begins_with", bytes.prefix(64)))
        }
    }

    private func row(_ block: ChildBlock, _ index: Int, at offset: Int) -> DumpItem {
        let value = block.withValue(at: index) { $0.withUnsafeBytes { Array($0) } }
        let attachment = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
        let kind = block.kind(at: index)
        var item = DumpItem(kind: .row, name: "child", offset: offset)
        item.fields = [
            DumpField("id", block.id(at: index)), DumpField("sequence", block.sequence(at: index)),
            DumpField("kind", kind.rawValue), DumpField("label", block.label(at: index).rawValue),
            DumpField("attempts", block.attempts(at: index)),
            DumpField("start_time", .time(block.startedAt(at: index).rawValue)),
            DumpField("end_time", .time(block.endedAt(at: index).rawValue)),
            content(kind == .completed ? "memo" : "error", value),
        ]
        if !attachment.isEmpty { item.fields.append(content("attachment", attachment)) }
        return item
    }

    // MARK: Directories

    func emitEntries(_ body: UnsafeRawBufferPointer, _ emit: (DumpItem) -> Void) {
        var reader = ByteReader(body)
        while !reader.isAtEnd {
            var item = DumpItem(kind: .row, name: "entry", offset: reader.offset)
            do throws(DecodingFailure) { item.fields = entry(try DirectoryEntry(&reader)) } catch {
                item.problem = error.reason
                return emit(item)
            }
            emit(item)
        }
    }

    func entry(_ entry: DirectoryEntry) -> [DumpField] {
        let counts = entry.outcomeCounts
        return [
            DumpField("parent", entry.parent), DumpField("root", entry.root), DumpField("frame_offset", entry.offset),
            DumpField("first_sequence", entry.firstSequence),
            DumpField("rows_by_kind", .numbers(OutcomeKind.allCases.map { counts[$0] })),
            DumpField("frame_length", entry.length), DumpField("body_offset", entry.bodyOffset),
            DumpField("body_length", entry.bodyLength),
        ]
    }

    // MARK: Manifest

    func emitManifest(_ body: UnsafeRawBufferPointer, _ emit: (DumpItem) -> Void) {
        var item = DumpItem(kind: .record, name: "manifest", offset: 0)
        var reader = ByteReader(body)
        do throws(DecodingFailure) {
            item.fields.append(DumpField("checkpoint", try reader.littleEndian(UInt64.self)))
            item.fields.append(DumpField("checkpoint_checksum", .checksum(try reader.littleEndian())))
            item.fields.append(DumpField("closed_in_order", .flag(try reader.byte() == 1)))
            _ = try reader.take(3)
            item.fields.append(DumpField("newest_log", try reader.littleEndian(UInt32.self)))
        } catch { item.problem = error.reason }
        emit(item)
    }
}
