// SPDX-License-Identifier: Apache-2.0

/// A block of one parent's children, wherever it is.
struct OfflineBlock: Sendable {
    enum Place: Sendable {
        case file(RawFile)
        case memory(BlockExtent)
    }

    let entry: DirectoryEntry
    let place: Place

    init(_ entry: DirectoryEntry, in file: RawFile) {
        self.entry = entry
        place = .file(file)
    }

    init(_ extent: BlockExtent) {
        entry = extent.entry
        place = .memory(extent)
    }

    /// Decodes all rows. `scratch` is used again from block to block.
    func read(
        of parent: TaskID, seed: UInt32, columns: ChildColumns, scratch: inout BlockScratch,
        into block: inout ChildBlock
    ) throws(OfflineFailure) {
        guard case .file(let file) = place else { return try readMemory(columns, &scratch, &block) }
        let start = Int(clamping: entry.offset)
        guard start <= file.size, Int(entry.length) <= file.size - start else {
            throw .decoding("a block that passes the end of the file")
        }
        let frame = try file.bytes(start..<(start + Int(entry.length)))
        do throws(DecodingFailure) {
            try frame.withUnsafeBytesThrowing { (frame) throws(DecodingFailure) in
                try BlockExtent.decode(
                    entry, frame: frame, segment: UInt32(truncatingIfNeeded: file.number), of: parent, seed: seed,
                    columns: columns, scratch: &scratch, into: &block)
            }
        } catch { throw .decoding(error.reason) }
        block.hasFacts = columns.contains(.facts)
        block.hasAttachments = columns.contains(.attachments)
    }

    private func readMemory(
        _ columns: ChildColumns, _ scratch: inout BlockScratch, _ block: inout ChildBlock
    ) throws(OfflineFailure) {
        guard case .memory(let extent) = place else { return }
        do throws(StoreError) {
            // Nothing in memory has to do with a store's identity.
            _ = try extent.read(
                of: TaskID(entry.parent), StoreIdentity(high: 0, low: 0), columns: columns, scratch: &scratch,
                into: &block)
        } catch { throw .decoding(error.message) }
    }
}

extension RawFile {
    func bytes(_ range: Range<Int>) throws(OfflineFailure) -> [UInt8] {
        do throws(FileError) { return try read(range) } catch { throw .file(error) }
    }
}
