// SPDX-License-Identifier: Apache-2.0

/// The new segments of a compaction. They are written as the store's own are, and no one else knows of them: a
/// checkpoint does not name them, so that recovery removes what a crash left.
struct CompactionOutput {
    /// Raw bytes of blocks that are gathered for a write, so that small ones share frames.
    private static let gatheredBytes = 256 << 10

    private let files: StoreFiles
    private var index: MemoIndex
    private var writer: IndexWriter
    private var gathered: [OutcomeBlock] = []
    private var gatheredSize = 0
    private var written = 0

    init(files: StoreFiles, configuration: MemoStore.Configuration, numbers: IndexNumbers) {
        self.files = files
        index = MemoIndex(numbers: numbers)
        writer = IndexWriter(files: files, configuration: configuration)
    }

    /// Takes a block, unless it is empty, and empties it.
    mutating func append(_ block: inout OutcomeBlock) throws(StoreError) {
        guard !block.rows.isEmpty else { return }
        gathered.append(block)
        gatheredSize += block.rawSize
        block.removeAll()
        if gatheredSize >= Self.gatheredBytes { try flush() }
    }

    private mutating func flush() throws(StoreError) {
        do throws(FileError) { try writer.append(&gathered, to: &index) } catch {
            throw StoreError("cannot write the index", error)
        }
        written += gatheredSize
        gatheredSize = 0
    }

    /// About how many bytes were written since this was asked last: before compression.
    mutating func takeWrittenBytes() -> Int {
        defer { written = 0 }
        return written
    }

    /// The finished segments, durable.
    mutating func seal(tier: UInt8) throws(StoreError) -> [SealedIndexSegment] {
        try flush()
        do throws(FileError) { try writer.seal(&index) } catch {
            throw StoreError("cannot seal a compacted index segment", error)
        }
        return index.sealed.map { $0.inTier(tier) }
    }

    /// Removes what was written, as far as that is possible now; the next opening removes the rest.
    func removeAll() {
        for file in index.sealed.map(\.file) + [index.open?.file].compactMap(\.self) {
            try? files.remove(file.path)
        }
    }
}
