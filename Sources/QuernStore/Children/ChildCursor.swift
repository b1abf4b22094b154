// SPDX-License-Identifier: Apache-2.0

/// A walk over a snapshot, a block at a time, in sequence order and constant memory.
///
/// Reads sealed and open index segments through their mappings, in order, then what was still in memory. It may block
/// on a page that is not in memory.
public struct ChildCursor: Sendable {
    /// Mapped bytes that a walk leaves resident behind itself.
    private static let residentWindow = 1 << 20

    private let snapshot: ChildSnapshot
    private let columns: ChildColumns
    private var next = 0
    private var scratch: [UInt8] = []
    private var failure: StoreError?
    /// Where the bytes begin that were walked over and are still resident.
    private var residentFrom: (file: UInt32, offset: Int)?

    init(snapshot: ChildSnapshot, columns: ChildColumns) {
        self.snapshot = snapshot
        self.columns = columns
    }

    /// Decodes the next block into `block`, whose buffers are used again. Returns false at the end.
    ///
    /// - Throws: ``StoreError/Code/damaged`` naming file and offset when a block is not what was written. It then
    ///   throws the same at each further call, so that rows are never left out in silence.
    public mutating func next(into block: inout ChildBlock) throws(StoreError) -> Bool {
        if let failure { throw failure }
        do throws(StoreError) {
            if next < snapshot.extents.count {
                try decode(snapshot.extents[next], into: &block)
            } else {
                let index = next - snapshot.extents.count
                guard index < snapshot.memoryBlocks.count else { return false }
                block.fill(from: snapshot.memoryBlocks[index])
            }
            block.hasFacts = columns.contains(.facts)
            next += 1
            return true
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func decode(_ extent: BlockExtent, into block: inout ChildBlock) throws(StoreError) {
        let mapping = try extent.file.mapped(length: extent.offset + extent.length)
        defer { withExtendedLifetime(mapping) {} }
        let seed = snapshot.identity.seed
        func damaged(_ reason: String) -> StoreError {
            StoreError(.damaged, reason, file: extent.file.file.path, offset: extent.offset)
        }
        guard
            let header = FrameHeader(mapping.bytes, at: extent.offset, segment: extent.file.number, seed: seed),
            header.kind == .block, header.codec == .raw, header.firstID == snapshot.parent.rawValue,
            header.totalLength == extent.length
        else { throw damaged("no valid block of this parent") }
        guard let body = header.body(in: mapping.bytes, seed: seed) else {
            throw damaged("wrong checksum of a block")
        }
        do throws(DecodingFailure) {
            try OutcomeBlockReader.decode(body, columns: columns, scratch: &scratch, into: &block)
        } catch { throw damaged(error.reason) }
        guard block.parent == snapshot.parent else { throw damaged("a block of another parent") }
        discardBehind(extent, in: mapping)
    }

    /// Memory stays flat: pages that were walked over need not stay resident.
    private mutating func discardBehind(_ extent: BlockExtent, in mapping: FileMapping) {
        guard let from = residentFrom, from.file == extent.file.number else {
            residentFrom = (extent.file.number, extent.offset)
            return
        }
        guard extent.offset - from.offset >= Self.residentWindow else { return }
        mapping.discard(from.offset..<extent.offset)
        residentFrom = (extent.file.number, extent.offset)
    }
}
