// SPDX-License-Identifier: Apache-2.0

/// Appends batches to the log and moves to a new segment when one is full or its end is in doubt (S2, S4).
///
/// Used by the writer thread alone.
struct LogWriter {
    /// A frame that was written: where it is, and its body before compression.
    struct Written {
        var offset: UInt64
        var body: [UInt8]
    }

    private let files: StoreFiles
    private let segmentBytes: UInt64
    private var file: any StoreFile
    private var encoder: FrameEncoder
    /// How far the current segment is known to be on disk.
    private var durableUpTo: UInt64
    /// The next append must begin a new segment: bytes behind the end of this one are not to be trusted.
    private var mustRotate = false
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

    /// Begins a new segment behind `previous`.
    init(files: StoreFiles, segmentBytes: Int, number: UInt32, previous: LogPosition) throws(FileError) {
        self.files = files
        self.segmentBytes = UInt64(segmentBytes)
        (file, encoder) = try Self.create(files, number: number, previous: previous)
        durableUpTo = encoder.position
    }

    private static func create(
        _ files: StoreFiles, number: UInt32, previous: LogPosition
    ) throws(FileError) -> (any StoreFile, FrameEncoder) {
        var header = files.header(.log, number: UInt64(number))
        header.previousLength = previous.offset
        header.previousChecksum = previous.checksum
        let file = SharedFile(try files.create(header))
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
        let start = encoder.position
        let durableUpTo = durableUpTo
        batch.encode(firstID: firstID, body: &body, scratch: &columns) { body, isLast in
            let header = body.bytes.withUnsafeBytes {
                next.append(
                    isLast ? .commit : .part, body: $0, compress: true, firstSequence: firstSequence,
                    firstID: firstID, durableUpTo: durableUpTo, scratch: &compressed, to: &output)
            }
            written.append(Written(offset: header.offset, body: body.bytes))
            body = ByteWriter()
        }
        do throws(FileError) { try file.write(output, at: Int(start)) } catch {
            mustRotate = true
            throw error
        }
        appendedBytes += next.position - start
        encoder = next
        return written
    }

    /// Returns when everything appended is on disk.
    mutating func synchronize() throws(FileError) {
        try file.synchronize()
        durableUpTo = encoder.position
    }

    private mutating func rotate() throws(FileError) {
        // The next segment's header vouches for this one's length, so this one must be on disk first.
        try synchronize()
        (file, encoder) = try Self.create(files, number: encoder.segment + 1, previous: position)
        durableUpTo = encoder.position
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
