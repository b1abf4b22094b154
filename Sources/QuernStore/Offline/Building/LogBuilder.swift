// SPDX-License-Identifier: Apache-2.0

/// Writes the log of a new store: what is live, as if it had just been spawned and noted. A checkpoint behind it makes
/// most of it needless, but for payloads and slots; without the checkpoint it tells what is live all the same.
struct LogBuilder {
    /// A run's payloads in bytes, so that they fit into a frame with all that is known of the run.
    static let payloadLimit = Limits.frameBytes - Limits.frameTarget

    private let files: StoreFiles
    private let segmentBytes: UInt64
    private var file: SharedFile
    private var encoder: FrameEncoder
    private var body = ByteWriter()
    private var output = ByteWriter()
    private var compressed = ByteWriter()
    /// What the next frame says of its place: what it follows.
    private var nextID: UInt64 = 1
    private var nextSequence: UInt64 = 1
    private var behind: UInt64 = 1

    /// The last segment.
    var segment: UInt32 { encoder.segment }
    /// Where the log ends, when all is written.
    var position: LogPosition {
        LogPosition(segment: encoder.segment, offset: encoder.position, checksum: encoder.checksum)
    }

    init(files: StoreFiles, configuration: MemoStore.Configuration) throws(FileError) {
        self.files = files
        segmentBytes = UInt64(clamping: configuration.logSegmentBytes)
        (file, encoder) = try Self.create(
            files, number: 1, behind: LogPosition(segment: 0, offset: 0, checksum: 0))
    }

    private static func create(
        _ files: StoreFiles, number: UInt32, behind end: LogPosition
    ) throws(FileError) -> (SharedFile, FrameEncoder) {
        var header = files.header(.log, number: UInt64(number))
        header.previousLength = end.offset
        header.previousChecksum = end.checksum
        let encoder = FrameEncoder(
            identity: files.identity, segment: number, position: UInt64(FileHeader.size), checksum: end.checksum)
        return (try files.create(header), encoder)
    }

    // MARK: Records

    /// - Parameter nextSequence: the position that the next outcome gets: all of the log stands behind the others.
    mutating func begin(_ head: StoreHead) throws(FileError) {
        nextSequence = head.nextSequence
        for (index, name) in head.names.enumerated() {
            try makeRoom(name.utf8.count)
            LogRecord.append(Label(rawValue: UInt32(index + 1)), name: name, to: &body)
        }
        for (name, value) in head.values { try append(.set(name, to: value)) }
    }

    /// Where the run's payloads are.
    mutating func append(_ run: LiveRunContents) throws(FileError) -> LogPlace {
        try makeRoom(run.tasks.reduce(0) { $0 + $1.payload.count })
        let place = place
        var payloads = ByteWriter()
        var lengths = [Int64](repeating: 0, count: run.count)
        for task in run.tasks {
            lengths[Int(task.id.rawValue - run.firstID.rawValue)] = Int64(task.payload.count)
            payloads.append(contentsOf: task.payload)
        }
        LogRecord.append(LogRecord.Kind.spawn.rawValue, to: &body) {
            SpawnRecord.appendHeader(
                firstID: run.firstID.rawValue, parent: run.parent, submittedAt: run.submittedAt,
                label: Label(rawValue: run.label), count: run.count, priority: run.priority,
                attributes: run.attributes, to: &$0)
            IntegerColumn.encode(count: lengths.count, into: &$0) { lengths[$0] }
            $0.append(contentsOf: payloads.bytes)
        }
        nextID = run.firstID.rawValue + UInt64(run.count)
        return LogPlace(place, bytes: payloads.count)
    }

    /// Where the record of a note is.
    @discardableResult
    mutating func append(_ note: Transaction.Note) throws(FileError) -> LogPlace {
        try makeRoom(note.valueBytes)
        let place = place
        LogRecord.append(note, to: &body)
        return place
    }

    mutating func append(_ key: TaskKey, of task: TaskID) throws(FileError) {
        try makeRoom(TaskKey.size)
        LogRecord.append(key, of: task, to: &body)
    }

    /// What is known of a task beyond its run; its phase is said by what it handed over.
    mutating func append(_ detail: LiveTasks.Detail, of task: TaskID) throws(FileError) {
        let none = LiveTasks.Detail()
        if detail.attempts != none.attempts || detail.notBefore != none.notBefore {
            try append(.attempt(task, attempts: detail.attempts, notBefore: detail.notBefore, error: []))
        }
        if let kind = detail.cancel { try append(.cancel(task, as: kind)) }
        if detail.crashes != 0 { try append(.crash(task, count: detail.crashes)) }
        if let priority = detail.priority { try append(.priority(task, priority)) }
    }

    private var place: LogPlace {
        LogPlace(
            segment: encoder.segment, frameOffset: encoder.position, recordOffset: UInt32(clamping: body.count))
    }

    // MARK: Frames

    /// Begins another frame, and another segment, when the one before is full or would be with so many bytes.
    private mutating func makeRoom(_ bytes: Int) throws(FileError) {
        guard body.count >= Limits.frameTarget || body.count + bytes > Self.payloadLimit else { return }
        try flush()
        guard encoder.position >= segmentBytes else { return }
        try file.synchronize()
        (file, encoder) = try Self.create(files, number: encoder.segment + 1, behind: position)
    }

    /// Of a file that counts only when all of it is on disk each frame may say so of those before it.
    private mutating func flush() throws(FileError) {
        guard body.count > 0 else { return }
        try write(compress: true)
        behind = nextID
    }

    private mutating func write(compress: Bool) throws(FileError) {
        let start = encoder.position
        output.removeAll()
        body.bytes.withUnsafeBytes { body in
            _ = encoder.append(
                .commit, body: body, compress: compress, firstSequence: nextSequence, firstID: behind,
                durableUpTo: start, scratch: &compressed, to: &output)
        }
        body.removeAll()
        try file.write(output, at: Int(start))
    }

    /// Writes the rest and a frame that vouches for it, and syncs.
    mutating func finish() throws(FileError) {
        try flush()
        if encoder.position > UInt64(FileHeader.size) { try write(compress: false) }
        try file.synchronize()
    }
}

extension Transaction.Note {
    fileprivate var valueBytes: Int {
        switch self {
        case .advance(_, _, let value), .keep(_, _, let value): value.count
        case .set(let name, let value): name.utf8.count + (value?.count ?? 0)
        default: 0
        }
    }
}
