// SPDX-License-Identifier: Apache-2.0

/// A store in figures, read off what ``OfflineStore`` has and off the directories of its index: no block is decoded.
package struct StoreOverview: Sendable {
    package struct Files: Sendable, Equatable {
        package var count = 0
        package var bytes = 0

        fileprivate mutating func add(_ file: RawFile) {
            count += 1
            bytes += file.size
        }
    }

    /// How the children of parents are spread.
    package struct Spread: Sendable, Equatable {
        /// Parents with ended children in the index; the root tasks are those of one.
        package var parents = 0
        package var blocks = 0
        package var children: UInt64 = 0
        /// For each parent, in how many segments its blocks are, added up.
        package var places = 0
    }

    package var version: UInt8?
    package var compatibleFeatures: UInt32 = 0
    package var readOnlyFeatures: UInt32 = 0
    package var incompatibleFeatures: UInt32 = 0
    /// How often it was opened to write; nil when the manifest is damaged, as the next two.
    package var openings: UInt64?
    package var wasClosedInOrder: Bool?
    package var checkpoint: UInt64?
    package var nextID: UInt64
    package var nextSequence: UInt64

    package var liveTasks: Int
    package var liveParents: Int
    package var endedRoots: OutcomeCounts
    /// How all ended children ended that are shown or wait to be reclaimed.
    package var ended = OutcomeCounts()
    package var droppedTrees: Int
    package var names: [String]
    package var values: Int
    package var valueBytes: Int

    /// Files that count.
    package var checkpoints = Files()
    package var logs = Files()
    package var index = Files()
    /// Files that do not count.
    package var leftovers = Files()
    /// Bytes of log behind the checkpoint: what the next opening reads.
    package var logBytesBehindCheckpoint = 0
    /// Bytes of log before it that live tasks need, about.
    package var neededLogBytes = 0

    package var spread = Spread()
    /// Bytes of blocks in dropped trees.
    package var droppedBytes = 0
    /// Decoded and stored bytes of blocks of the index, of a sample when there are many.
    package var sample = (decoded: 0, stored: 0, blocks: 0)

    /// What a compaction would free, about, without what better compression and fuller blocks give.
    package var reclaimableBytes: Int {
        let oldLog = max(0, logs.bytes - logBytesBehindCheckpoint - neededLogBytes)
        return droppedBytes + oldLog + leftovers.bytes
    }

    /// O(live tasks and blocks of the index). Blocking.
    package init(of store: OfflineStore) {
        let state = store.state
        nextID = state.nextID
        nextSequence = state.nextSequence
        liveTasks = state.live.count
        liveParents = state.parents.count - 1
        endedRoots = state.parents.status(of: .none)?.counts ?? OutcomeCounts()
        droppedTrees = state.dropped.count
        names = state.labels.names
        let named = state.values.values(withPrefix: "")
        values = named.count
        valueBytes = state.values.bytes
        if let manifest = store.manifest {
            openings = manifest.epoch
            wasClosedInOrder = manifest.isClean
            checkpoint = manifest.checkpointNumber
        }
        readVersion(store)
        countFiles(store)
        countBlocks(store)
        countMemory(store)
    }

    private mutating func readVersion(_ store: OfflineStore) {
        guard let file = store.raw.manifestFile ?? store.raw.files.first,
            let bytes = try? file.read(0..<FileHeader.size), bytes.count == FileHeader.size,
            bytes.starts(with: FileHeader.magic)
        else { return }
        version = bytes[9]
        func features(_ offset: Int) -> UInt32 {
            bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
        }
        (compatibleFeatures, readOnlyFeatures, incompatibleFeatures) = (features(60), features(64), features(68))
    }

    private mutating func countFiles(_ store: OfflineStore) {
        let counting = Set(store.segments.map { $0.file.number })
        let position = store.checkpointPosition
        for file in store.raw.files {
            switch file.kind {
            case .checkpoint where file.number == store.checkpointFile?.number,
                .mirror where file.number == store.checkpointFile?.number:
                checkpoints.add(file)
            case .index where counting.contains(file.number): index.add(file)
            case .log:
                logs.add(file)
                // Behind the last whole batch are zeros, written ahead.
                let isLast = file.number == UInt64(store.logEnd.segment)
                let end = isLast ? Int(clamping: store.logEnd.offset) : file.size
                if file.number > UInt64(position?.segment ?? 0) {
                    logBytesBehindCheckpoint += max(0, end - FileHeader.size)
                } else if file.number == UInt64(position?.segment ?? 0) {
                    logBytesBehindCheckpoint += max(0, end - Int(clamping: position?.offset ?? 0))
                }
            case .manifest: break
            default: leftovers.add(file)
            }
        }
        for name in store.raw.others where StoreFiles.isTemporary(name) {
            guard let file = try? RawFile(name, in: store.raw.directory, store.raw.fileSystem) else { continue }
            leftovers.add(file)
        }
        // What it keeps is decoded; a log that is compressed takes less.
        let needed = LogUse(store.state).segments.filter { $0.key < position?.segment ?? 0 }.reduce(0) { $0 + $1.value }
        neededLogBytes = min(needed, max(0, logs.bytes - logBytesBehindCheckpoint))
    }

    private mutating func countBlocks(_ store: OfflineStore) {
        guard var walk = try? DirectoryMergeWalk(store.segments) else { return }
        let total = store.segments.reduce(0) { $0 + $1.count }
        let step = max(1, total / Self.sampleSize)
        var parent: UInt64?
        var places: Set<Int> = []
        // A directory that cannot be read any more was read when it was verified.
        while let (entry, segment, _) = try? walk.next() {
            if entry.parent != parent {
                spread.places += places.count
                spread.parents += 1
                places.removeAll(keepingCapacity: true)
                parent = entry.parent
            }
            places.insert(segment)
            if spread.blocks.isMultiple(of: step) { addSample(entry, in: store.segments[segment].file, store.identity) }
            spread.blocks += 1
            spread.children += entry.outcomeCounts.total
            ended += entry.outcomeCounts
            if store.state.dropped.contains(TaskID(entry.root)) { droppedBytes += entry.sizeInSegment }
        }
        spread.places += places.count
    }

    private static let sampleSize = 1024

    /// Reads the headers of a block's frame and of the block, and no more.
    private mutating func addSample(_ entry: DirectoryEntry, in file: RawFile, _ identity: StoreIdentity) {
        let start = Int(clamping: entry.offset)
        guard start <= file.size,
            let bytes = try? file.read(start..<(start + FrameHeader.size + OutcomeBlockHeader.size)),
            let header = bytes.withUnsafeBytes({
                FrameHeader(detached: $0, offset: entry.offset, segment: file.segment(nil), seed: identity.seed)
            })
        else { return }
        sample.blocks += 1
        if header.kind == .sharedBlocks {
            // Its part of the frame.
            let part = header.rawLength > 0 ? Int(entry.bodyLength) * header.storedLength / header.rawLength : 0
            sample.stored += part
            sample.decoded += Int(entry.bodyLength)
            return
        }
        bytes.withUnsafeBytes { bytes in
            guard bytes.count == FrameHeader.size + OutcomeBlockHeader.size else { return }
            func load(_ place: Int) -> Int {
                Int(
                    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: FrameHeader.size + place, as: UInt32.self))
                )
            }
            sample.stored += header.storedLength
            sample.decoded += header.storedLength - load(52) - load(60) + load(48) + load(56)
        }
    }

    private mutating func countMemory(_ store: OfflineStore) {
        let state = store.state
        for block in Array(state.openBlocks.values) + state.endedBlocks + state.fullBlocks {
            for row in block.rows { ended[row.kind] += 1 }
        }
        for blocks in store.tail.values { for block in blocks { ended += block.entry.outcomeCounts } }
    }
}
