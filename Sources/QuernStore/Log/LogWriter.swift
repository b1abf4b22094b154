// SPDX-License-Identifier: Apache-2.0

/// Appends batches to the log and moves to a new segment when one is full or its end is in doubt (S2, S4).
///
/// Used by the writer alone.
struct LogWriter {
    /// A frame that was written: where it is, and its body before compression.
    struct Written {
        var offset: UInt64
        var body: [UInt8]
    }

    private let files: StoreFiles
    private let manifest: ManifestFile
    private let segmentBytes: UInt64
    private let reserveBytes: UInt64
    /// Larger batches are not followed by zeros: beside their own bytes the new length costs little.
    private static let largestReservingBatch = 64 << 10
    private var file: any StoreFile
    private var encoder: FrameEncoder
    /// How far the current segment is known to be on disk.
    private var durableUpTo: UInt64
    /// Behind the last batch. Only a frame that vouches for it may follow.
    private var batchesEnd: UInt64
    /// How far the last frame says that the segment is on disk.
    private var vouchedUpTo: UInt64
    /// How far the file was written or was to be written, zeros included.
    private var reservedUpTo: UInt64
    /// The next append must begin a new segment: bytes behind the end of this one are not to be trusted.
    private var mustRotate = false
    /// Where the segment's header says that the one before ends, while no reader can have seen a batch in this one.
    private var unseen: LogPosition?
    private var body = ByteWriter()
    private var output = ByteWriter()
    private var compressed = ByteWriter()
    private var columns = OutcomeBlockScratch()
    /// Bytes appended since the writer was made.
    private(set) var appendedBytes: UInt64 = 0

    /// The segment that is written to.
    var segment: UInt32 { encoder.segment }
    /// Where the next frame goes, and what it continues: what a checkpoint notes.
    var position: LogPosition {
        LogPosition(segment: encoder.segment, offset: encoder.position, checksum: encoder.checksum)
    }

    /// The segment's file when not all of it is known to be on disk. A checkpoint syncs it beside the writer thread.
    var unsyncedFile: (any StoreFile)? { durableUpTo < encoder.position ? file : nil }

    /// Begins the first segment. The manifest that names it is its caller's to write.
    init(
        files: StoreFiles, manifest: ManifestFile, configuration: MemoStore.Configuration
    ) throws(FileError) {
        let none = LogPosition(segment: 0, offset: 0, checksum: 0)
        let (file, encoder) = try Self.create(files, number: 1, previous: none)
        self.init(files, manifest, configuration, file, encoder)
        unseen = none
    }

    /// Goes on behind a log that was recovered. What its last segment holds behind that is not to be trusted, so that
    /// the first append begins a segment; until then nothing is written.
    ///
    /// - Parameters:
    ///   - end: the end of the log, on disk.
    ///   - vouchedUpTo: how far the log or the checkpoint says that the last segment is on disk.
    ///   - last: the file of its last segment.
    init(
        files: StoreFiles, manifest: ManifestFile, configuration: MemoStore.Configuration, behind end: LogPosition,
        vouchedUpTo: UInt64, of last: any StoreFile
    ) {
        self.init(
            files, manifest, configuration, SharedFile(last, lock: files.lock),
            FrameEncoder(
                identity: files.identity, segment: end.segment, position: end.offset, checksum: end.checksum))
        mustRotate = true
        self.vouchedUpTo = vouchedUpTo
    }

    private init(
        _ files: StoreFiles, _ manifest: ManifestFile, _ configuration: MemoStore.Configuration,
        _ file: any StoreFile, _ encoder: FrameEncoder
    ) {
        self.files = files
        self.manifest = manifest
        segmentBytes = UInt64(clamping: configuration.logSegmentBytes)
        reserveBytes = min(UInt64(clamping: configuration.logReserveBytes), UInt64(Limits.batchBytes))
        self.file = file
        self.encoder = encoder
        (durableUpTo, batchesEnd) = (encoder.position, encoder.position)
        (vouchedUpTo, reservedUpTo) = (encoder.position, encoder.position)
    }

    private static func create(
        _ files: StoreFiles, number: UInt32, previous: LogPosition, replacing: Bool = false
    ) throws(FileError) -> (any StoreFile, FrameEncoder) {
        var header = files.header(.log, number: UInt64(number))
        header.previousLength = previous.offset
        header.previousChecksum = previous.checksum
        let file = try files.create(header, replacing: replacing)
        return (
            file,
            FrameEncoder(
                identity: files.identity, segment: number, position: UInt64(FileHeader.size),
                checksum: previous.checksum)
        )
    }

    /// Encodes a batch and writes it with one call. After an error nothing of it counts as written.
    mutating func append(
        _ batch: inout Batch, firstID: UInt64, firstSequence: UInt64
    ) throws(FileError) -> [Written] {
        if mustRotate || encoder.position >= segmentBytes { try rotate() }
        body.removeAll()
        output.removeAll()
        var next = encoder
        var written: [Written] = []
        let durableUpTo = durableUpTo
        batch.encode(firstID: firstID, body: &body, scratch: &columns) { body, isLast in
            let header = body.bytes.withUnsafeBytes {
                next.append(
                    isLast ? .commit : .part, body: $0, compress: true, firstSequence: firstSequence,
                    firstID: firstID, durableUpTo: durableUpTo, scratch: &compressed, to: &output)
            }
            written.append(Written(offset: header.offset, body: body.bytes))
            // The next one will be about as large.
            body = ByteWriter(reservingCapacity: min(body.count, 2 * Limits.frameTarget))
        }
        try writeOutput(upTo: next)
        batchesEnd = next.position
        return written
    }

    /// Writes what was encoded, with one call: where that fails, not all of it is there, and nothing of it counts.
    private mutating func writeOutput(upTo next: FrameEncoder) throws(FileError) {
        do throws(FileError) {
            try file.write(output, at: Int(encoder.position))
        } catch {
            mustRotate = true
            if unseen != nil, (try? file.size()).map({ $0 >= Int(next.position) }) ?? true { unseen = nil }
            // What was written of it counts for nobody, and must not take the space that smaller batches need.
            file.discard(Int(encoder.position)..<Int(max(next.position, reservedUpTo)))
            throw error
        }
        reserve(behind: next.position)
        unseen = nil
        failedVouches = 0
        appendedBytes += next.position - encoder.position
        encoder = next
        vouchedUpTo = durableUpTo
    }

    /// Where a batch passes what was written before, zeros follow it: to overwrite them later takes a sync half the
    /// time of growing the file. They are asked for once a stretch, whatever comes of it.
    private mutating func reserve(behind end: UInt64) {
        guard end > reservedUpTo, reserveBytes > 0, output.count <= Self.largestReservingBatch else { return }
        // A segment that is finished needs none.
        reservedUpTo = min((end / reserveBytes + 1) * reserveBytes, max(end, segmentBytes))
        output.removeAll()
        output.append(zeros: Int(reservedUpTo - end))
        try? file.write(output, at: Int(end))
    }

    // MARK: Durability

    /// Whether the last batch is on disk and nothing in the log says so yet: a damaged byte in it would then look like
    /// a write that was torn (F12).
    var isUnvouched: Bool { batchesEnd <= durableUpTo && vouchedUpTo < batchesEnd }

    /// How often in a row that could not be said.
    private(set) var failedVouches = 0

    /// Says in the log how far it is on disk: in an empty frame, or where none may follow, in the header of a new
    /// segment. The frame is not synced: without it, recovery only knows less. When it cannot be written, what is
    /// written next begins a segment.
    ///
    /// - Throws: why no segment could be begun, as ``append(_:firstID:firstSequence:)`` does.
    mutating func vouch(firstID: UInt64, firstSequence: UInt64) throws(FileError) {
        failedVouches += 1
        if mustRotate { return try rotate() }
        output.removeAll()
        var next = encoder
        next.append(
            .commit, body: UnsafeRawBufferPointer(start: nil, count: 0), compress: false,
            firstSequence: firstSequence, firstID: firstID, durableUpTo: durableUpTo, scratch: &compressed,
            to: &output)
        try? writeOutput(upTo: next)
    }

    /// Returns when everything appended is on disk.
    mutating func synchronize() throws(FileError) {
        try file.synchronize()
        durableUpTo = encoder.position
    }

    /// A segment in which nobody saw anything makes room for another one of its number: else each commit that finds the
    /// disk full would leave a segment.
    mutating func rotate() throws(FileError) {
        // The next segment's header vouches for this one's length, so this one must be on disk first.
        try synchronize()
        let previous = unseen ?? position
        // Where the next one comes to be and no more, its header has said where this one ends: no frame may follow.
        mustRotate = true
        // The manifest has named the one that nobody saw.
        let next = try Self.create(
            files, number: previous.segment + 1, previous: previous, replacing: unseen != nil)
        // Named before it gets its first batch, so that the loss of the newest segment is seen (F13).
        if unseen == nil {
            try manifest.update {
                $0.newestLog = next.1.segment
                $0.isClean = false
            }
        }
        unseen = previous
        (file, encoder) = next
        (durableUpTo, batchesEnd) = (encoder.position, encoder.position)
        (vouchedUpTo, reservedUpTo) = (encoder.position, encoder.position)
        failedVouches = 0
        mustRotate = false
    }
}

/// A place between two frames of the log.
struct LogPosition: Sendable, Equatable {
    var segment: UInt32
    var offset: UInt64
    /// The header checksum of the frame before, which the next one continues.
    var checksum: UInt32
}
