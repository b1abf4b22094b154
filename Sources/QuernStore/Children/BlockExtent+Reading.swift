// SPDX-License-Identifier: Apache-2.0

/// Buffers that reading blocks uses again and again.
struct BlockScratch: Sendable {
    /// The body of a frame that is compressed as a whole.
    var frame: [UInt8] = []
    var section: [UInt8] = []
}

extension BlockExtent {
    /// Reads all rows of the block, those too that a view skips. Returns the mapping that they came from.
    ///
    /// - Parameter skipped: when given, only the failures from that row on are wanted.
    func read(
        of parent: TaskID, _ identity: StoreIdentity, columns: ChildColumns, failuresBehind skipped: Int? = nil,
        scratch: inout BlockScratch, into block: inout ChildBlock
    ) throws(StoreError) -> FileMapping? {
        defer {
            block.hasFacts = columns.contains(.facts)
            block.hasAttachments = columns.contains(.attachments)
        }
        switch place {
        case .memory(let memory):
            block.fill(from: memory.block, columns: columns, failuresBehind: skipped)
            return nil
        case .encoded(let encoded):
            do throws(DecodingFailure) {
                try encoded.decode(
                    columns: columns, failuresBehind: skipped, scratch: &scratch.section, into: &block)
            } catch { throw StoreError(.damaged, "a block in memory: \(error.reason)") }
            return nil
        case .file(let file):
            if let frame = file.sharedFrame(at: entry.offset) {
                do throws(DecodingFailure) {
                    try frame.bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                        try Self.decode(
                            entry, rows: storedRows, body: bytes, of: parent, columns: columns, failuresBehind: skipped,
                            scratch: &scratch.section, into: &block)
                    }
                } catch { throw StoreError(.damaged, error.reason, file: file.path, offset: offset) }
                return nil
            }
            let mapping = try file.mapping(length: offset + length)
            defer { withExtendedLifetime(mapping) {} }
            do throws(DecodingFailure) {
                try Self.decode(
                    entry, rows: storedRows,
                    frame: UnsafeRawBufferPointer(rebasing: mapping.bytes[offset..<(offset + length)]),
                    segment: file.number, of: parent, seed: identity.seed, columns: columns, failuresBehind: skipped,
                    scratch: &scratch, into: &block)
            } catch { throw StoreError(.damaged, error.reason, file: file.path, offset: offset) }
            if !scratch.frame.isEmpty, scratch.frame.count <= IndexFile.SharedFrame.largest {
                var bytes: [UInt8] = []
                swap(&bytes, &scratch.frame)
                file.keep(IndexFile.SharedFrame(bytes, offset: entry.offset))
            }
            return mapping
        }
    }

    /// Decodes a block and checks that it is the one that its entry speaks of.
    ///
    /// - Parameter frame: the block's frame, as it is in the file.
    static func decode(
        _ entry: DirectoryEntry, rows: Int? = nil, frame: UnsafeRawBufferPointer, segment: UInt32, of parent: TaskID,
        seed: UInt32, columns: ChildColumns, failuresBehind skipped: Int? = nil, scratch: inout BlockScratch,
        into block: inout ChildBlock
    ) throws(DecodingFailure) {
        guard
            let header = FrameHeader(detached: frame, offset: entry.offset, segment: segment, seed: seed),
            header.kind == .block || header.kind == .sharedBlocks, header.totalLength == frame.count
        else { throw DecodingFailure("no valid block of this parent") }
        guard let stored = header.body(behind: frame, seed: seed) else {
            throw DecodingFailure("wrong checksum of a block")
        }
        switch header.codec {
        case .raw:
            try decode(
                entry, rows: rows, body: stored, of: parent, columns: columns, failuresBehind: skipped,
                scratch: &scratch.section, into: &block)
        case .lz4:
            scratch.frame.resize(to: header.rawLength)
            try scratch.frame.withUnsafeMutableBytesThrowing { (bytes) throws(DecodingFailure) in
                try LZ4.decompress(stored, into: bytes)
            }
            try scratch.frame.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try decode(
                    entry, rows: rows, body: bytes, of: parent, columns: columns, failuresBehind: skipped,
                    scratch: &scratch.section, into: &block)
            }
        }
    }

    /// Decodes the block in its frame's body, as ``decode(_:rows:frame:segment:of:seed:columns:scratch:into:)`` does.
    static func decode(
        _ entry: DirectoryEntry, rows: Int? = nil, body: UnsafeRawBufferPointer, of parent: TaskID,
        columns: ChildColumns, failuresBehind skipped: Int? = nil, scratch: inout [UInt8],
        into block: inout ChildBlock
    ) throws(DecodingFailure) {
        var reader = ByteReader(body)
        _ = try reader.take(Int(entry.bodyOffset))
        let bytes = try reader.take(Int(entry.bodyLength))
        let found = try OutcomeBlockReader.decode(
            bytes, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &block)
        guard block.parent == parent else { throw DecodingFailure("a block of another parent") }
        guard found == rows ?? Int(entry.outcomeCounts.total) else {
            throw DecodingFailure("a block of another length")
        }
    }
}
