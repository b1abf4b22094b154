// SPDX-License-Identifier: Apache-2.0

/// Writes the index of a whole store: children come by parent and in sequence, and go into blocks that are as full as
/// they can be, side by side. What blocks they came in leaves no trace.
struct IndexBuilder {
    private var output: CompactionOutput
    private let sizes: BlockSizes
    private var gathered = OutcomeBlock(parent: .none)
    private var lastSequence: UInt64 = 0
    private(set) var children: UInt64 = 0

    init(files: StoreFiles, configuration: MemoStore.Configuration, numbers: IndexNumbers) {
        output = CompactionOutput(files: files, configuration: configuration, numbers: numbers)
        sizes = configuration.blockSizes
    }

    /// - Throws: ``StoreError/Code/rejected`` when they come before others that were added; as writing a file does.
    mutating func add(_ rows: OutcomeBlock) throws(StoreError) {
        if rows.parent != gathered.parent {
            guard gathered.parent < rows.parent else {
                throw StoreError(.rejected, "children of \(rows.parent) behind those of \(gathered.parent)")
            }
            try output.append(&gathered)
            gathered = OutcomeBlock(parent: rows.parent, root: rows.root)
            lastSequence = 0
        } else if gathered.rows.isEmpty {
            gathered.root = rows.root
        } else if gathered.root != rows.root {
            throw StoreError(.rejected, "children of \(rows.parent) in two trees")
        }
        for row in rows.rows {
            guard row.sequence > lastSequence else {
                throw StoreError(.rejected, "the child at position \(row.sequence) behind that at \(lastSequence)")
            }
            lastSequence = row.sequence
        }
        children += UInt64(rows.rows.count)
        try gathered.fill(from: rows, sizes: sizes) { (full) throws(StoreError) in try output.append(&full) }
    }

    /// The finished segments, durable. Nobody needs to merge them any more.
    mutating func seal() throws(StoreError) -> [SealedIndexSegment] {
        try output.append(&gathered)
        return try output.seal(tier: UInt8(CompactionPlan.mergeCounts.count))
    }

    /// Removes what was written, as far as that is possible now.
    func removeAll() { output.removeAll() }
}
