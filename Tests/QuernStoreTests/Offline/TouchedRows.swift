// SPDX-License-Identifier: Apache-2.0
import SystemPackage

@testable import QuernStore

/// Which ended children rest on which bytes of a store's files: those that damage there may take.
struct TouchedRows {
    private struct Stretch {
        var range: Range<Int>
        /// Commit positions.
        var sequences: Set<UInt64>
    }

    private var stretches: [String: [Stretch]] = [:]

    init(of store: OfflineStore) throws {
        for segment in store.segments { try addIndex(segment) }
        if let file = store.checkpointFile { try add(frames(of: file, from: FileHeader.size, store), file) }
        let position = store.checkpointPosition
        for file in store.raw.files(.log) where file.number >= UInt64(position?.segment ?? 0) {
            let isFirst = file.number == UInt64(position?.segment ?? 0)
            let start = isFirst ? Int(position?.offset ?? 0) : FileHeader.size
            try add(frames(of: file, from: start, store), file)
        }
    }

    /// Those that a change of one byte may take.
    func touched(in file: String, at offset: Int) -> Set<UInt64> {
        (stretches[file] ?? []).reduce(into: []) { if $1.range.contains(offset) { $0.formUnion($1.sequences) } }
    }

    /// Those that a cut may take.
    func touched(in file: String, from offset: Int) -> Set<UInt64> {
        (stretches[file] ?? []).reduce(into: []) { if $1.range.upperBound > offset { $0.formUnion($1.sequences) } }
    }

    private mutating func addIndex(_ segment: IndexDirectory) throws {
        var scratch = OfflineScratch()
        var block = ChildBlock()
        var entries: [DirectoryEntry] = []
        try segment.forEachEntry { entries.append($0) }
        let seed = try segment.file.header.get().identity.seed
        for entry in entries {
            try OfflineBlock(entry, in: segment.file).read(
                of: TaskID(entry.parent), seed: seed, columns: .stored, scratch: &scratch, into: &block)
            let start = Int(entry.offset)
            stretches[segment.file.name, default: []].append(
                Stretch(
                    range: start..<(start + Int(entry.length)), sequences: Set(block.rows.map(\.outcome.sequence))))
        }
    }

    /// The batches of a log, or the frames of a checkpoint, with their outcomes.
    private func frames(of file: RawFile, from start: Int, _ store: OfflineStore) throws -> [Stretch] {
        let seed = store.identity.seed
        var walk = FrameWalk(
            file, from: start, segment: UInt32(truncatingIfNeeded: file.number), seed: seed)
        var found: [Stretch] = []
        var current: Stretch?
        while let item = try walk.next() {
            guard case .frame(let frame) = item else { continue }
            var batch = current ?? Stretch(range: frame.offset..<frame.offset, sequences: [])
            batch.range = batch.range.lowerBound..<(frame.offset + frame.length)
            let kinds: [UInt8] = file.kind == .log ? [2] : [20, 24]
            try frame.body().withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
                try LogRecord.forEach(in: body) { (kind, _, fields) throws(DecodingFailure) in
                    guard kinds.contains(kind) else { return }
                    var block = ChildBlock()
                    var scratch: [UInt8] = []
                    try OutcomeBlockReader.decode(fields, columns: .facts, scratch: &scratch, into: &block)
                    batch.sequences.formUnion(block.rows.map(\.outcome.sequence))
                }
            }
            current = batch
            guard frame.header.kind != .part else { continue }
            found.append(batch)
            current = nil
        }
        return found
    }

    private mutating func add(_ found: [Stretch], _ file: RawFile) { stretches[file.name, default: []] += found }
}
