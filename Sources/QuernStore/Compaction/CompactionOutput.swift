// SPDX-License-Identifier: Apache-2.0

/// The new segments of a compaction. They are written as the store's own are, and no one else knows of them: a
/// checkpoint does not name them, so that recovery removes what a crash left.
struct CompactionOutput {
    private let files: StoreFiles
    private let makeNumber: @Sendable () -> UInt32
    private var index: MemoIndex
    private var reserved: UInt32
    private var created: [UInt32] = []
    private var written = 0

    init(files: StoreFiles, configuration: MemoStore.Configuration, makeNumber: @escaping @Sendable () -> UInt32) {
        self.files = files
        self.makeNumber = makeNumber
        reserved = makeNumber()
        index = MemoIndex(files: files, segmentBytes: configuration.indexSegmentBytes, nextNumber: reserved)
    }

    /// Writes a block, unless it is empty, and empties it.
    mutating func append(_ block: inout OutcomeBlock) throws(StoreError) {
        guard !block.rows.isEmpty else { return }
        let before = index.open?.length ?? 0
        do throws(FileError) { try index.append(block) } catch {
            noteCreated()
            throw StoreError("cannot write a compacted index segment", error)
        }
        noteCreated()
        written += max((index.open?.length ?? 0) - before, 0)
        block.removeAll()
    }

    /// Bytes written since this was asked last.
    mutating func takeWrittenBytes() -> Int {
        defer { written = 0 }
        return written
    }

    /// The finished segments, durable.
    mutating func seal(tier: UInt8) throws(StoreError) -> [SealedIndexSegment] {
        do throws(FileError) { try index.seal() } catch {
            throw StoreError("cannot seal a compacted index segment", error)
        }
        return index.sealed.map { $0.rewritten(tier: tier) }
    }

    /// Removes what was written, as far as that is possible now; the next opening removes the rest.
    func removeAll() {
        for number in created { try? files.fileSystem.remove(files.path(.index, UInt64(number))) }
    }

    /// The number was used: the next segment gets one that nobody else has.
    private mutating func noteCreated() {
        guard index.nextNumber != reserved else { return }
        created.append(reserved)
        reserved = makeNumber()
        index.nextNumber = reserved
    }
}
