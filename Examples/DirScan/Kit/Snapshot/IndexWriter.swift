// SPDX-License-Identifier: Apache-2.0

/// Writes index entries that come in order, and computes the check that goes into the header.
struct IndexWriter {
    let file: OutputFile
    private(set) var count = 0
    private(set) var check = SnapshotFormat.indexSeed
    private var block: [IndexEntry] = []

    init(_ file: OutputFile) {
        self.file = file
        block.reserveCapacity(SnapshotFormat.entriesPerBlock)
    }

    mutating func append(_ entry: IndexEntry) throws(SnapshotError) {
        block.append(entry)
        count += 1
        if block.count == SnapshotFormat.entriesPerBlock { try writeBlock() }
    }

    /// To be called once, after the last entry.
    mutating func finish() throws(SnapshotError) {
        if !block.isEmpty { try writeBlock() }
        try file.flush()
    }

    private mutating func writeBlock() throws(SnapshotError) {
        let seed = check
        let outcome = block.withUnsafeBytes { bytes in
            Result { () throws(SnapshotError) in
                try file.append(bytes)
                return StableHash.hash(bytes, seed: seed)
            }
        }
        check = try outcome.get()
        block.removeAll(keepingCapacity: true)
    }
}
