// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Opens a store's files: checkpoint, then the log's tail (S6).
///
/// First it decides by reading alone what the log holds; only then does it write, and what it writes is behind what the
/// checkpoint vouches for, so that a crash inside leads to the same decision again (F15).
struct Recovery {
    let directory: FilePath
    let fileSystem: any FileSystem
    let configuration: MemoStore.Configuration

    struct Result {
        var files: StoreFiles
        var state: StoreState
        var index: MemoIndex
        var log: LogWriter
        var manifest: Manifest
        var report: RecoveryReport
        /// Log segments that are there.
        var segments: [UInt32]
    }

    /// A log segment that is part of the tail.
    private struct Tail {
        var number: UInt32
        var header: FileHeader
        var file: any StoreFile
        var mapping: FileMapping
        var path: FilePath
        var start: LogPosition
        var scan: SegmentScan
    }

    func run() throws(StoreError) -> Result {
        let names = try wrapping("cannot list the store") { () throws(FileError) in
            // Names, too, must be on disk before a decision is built on them: what they replaced is removed then (F21).
            try fileSystem.synchronizeDirectory(directory)
            return try fileSystem.list(directory)
        }
        guard names.contains(StoreFiles.manifestName) else { return try create(names) }
        return try open(names)
    }

    private func wrapping<Value>(
        _ message: String, _ body: () throws(FileError) -> Value
    ) throws(StoreError) -> Value {
        try StoreError.wrapping(message, body)
    }

    // MARK: A new store

    private func create(_ names: [String]) throws(StoreError) -> Result {
        // An interrupted creation leaves at most the first log segment, empty, and the first checkpoint. Anything more
        // is a store that lost its manifest.
        for name in names {
            guard let (kind, number) = StoreFiles.parse(name) else { continue }
            let path = directory.appending(name)
            let size = try wrapping("cannot read a file") { () throws(FileError) in
                try fileSystem.open(path, .readOnly).size()
            }
            guard number == 1, kind == .checkpoint || (kind == .log && size <= FileHeader.size) else {
                throw StoreError(.damaged, "the manifest is missing", file: path)
            }
        }
        for name in names where StoreFiles.parse(name) != nil || StoreFiles.isTemporary(name) {
            try wrapping("cannot remove a leftover") { () throws(FileError) in
                try fileSystem.remove(directory.appending(name))
            }
        }
        let files = StoreFiles(directory: directory, fileSystem: fileSystem, identity: .random(), epoch: 1)
        let state = StoreState()
        let index = MemoIndex(files: files, segmentBytes: configuration.indexSegmentBytes)
        let log = try wrapping("cannot create the log") { () throws(FileError) in
            try LogWriter(
                files: files, segmentBytes: configuration.logSegmentBytes, number: 1,
                previous: LogPosition(segment: 0, offset: 0, checksum: 0))
        }
        let none = Manifest(
            generation: 0, identity: files.identity, epoch: 1, checkpointNumber: 0, checkpointChecksum: 0, isClean: true
        )
        let manifest = try wrapping("cannot create the store") { () throws(FileError) in
            try CheckpointWriter(files: files).write(
                state: state, index: index, position: log.position, after: none, isClean: false)
        }
        var report = RecoveryReport()
        report.created = true
        return Result(
            files: files, state: state, index: index, log: log, manifest: manifest, report: report, segments: [1])
    }

    // MARK: An existing store

    private func open(_ names: [String]) throws(StoreError) -> Result {
        let manifest = try readManifest()
        let checkpoint = try readCheckpoint(manifest)
        let numbers = names.compactMap { name -> UInt32? in
            guard let (kind, number) = StoreFiles.parse(name), kind == .log else { return nil }
            return UInt32(exactly: number)
        }.sorted()
        let tails = try scanTail(numbers, from: checkpoint.position, manifest: manifest)

        // From here on the decision stands, and files may be written.
        let epoch = max(manifest.epoch, tails.map(\.header.epoch).max() ?? 0) + 1
        let files = StoreFiles(
            directory: directory, fileSystem: fileSystem, identity: manifest.identity, epoch: epoch)
        try removeLeftovers(names, checkpoint: checkpoint, manifest: manifest)
        var state = checkpoint.state
        var index = try openIndex(checkpoint, files: files)
        var report = RecoveryReport()
        for tail in tails {
            try replay(tail, into: &state, &index)
            report.replayedFrames += tail.scan.frames
            report.replayedBytes += Int(tail.scan.end.offset - tail.start.offset)
            report.tornBytes += tail.scan.tornBytes
            if tail.scan.tornBytes > 0 { report.tornFile = tail.path }
        }
        // An opening begins a segment of its own: with one behind the checkpoint's, somebody opened and never closed.
        report.wasClean = manifest.isClean && tails.count == 1 && report.replayedFrames == 0
        guard let last = tails.last else { throw StoreError(.damaged, "the log is missing", file: directory) }
        try rewrite(last)
        let log = try wrapping("cannot begin a log segment") { () throws(FileError) in
            try LogWriter(
                files: files, segmentBytes: configuration.logSegmentBytes, number: last.number + 1,
                previous: last.scan.end)
        }
        return Result(
            files: files, state: state, index: index, log: log, manifest: manifest, report: report,
            segments: numbers + [last.number + 1])
    }

    /// Opens a file that the manifest or the checkpoint names: when it is missing, that is damage.
    private func openNamed(
        _ path: FilePath, _ mode: FileOpenMode, _ name: String
    ) throws(StoreError) -> any StoreFile {
        do throws(FileError) { return try fileSystem.open(path, mode) } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw StoreError("cannot open \(name)", error) }
            throw StoreError(.damaged, "\(name) is missing", file: path, cause: error)
        }
    }

    func readManifest() throws(StoreError) -> Manifest {
        let path = directory.appending(StoreFiles.manifestName)
        let bytes = try wrapping("cannot read the manifest") { () throws(FileError) in
            try fileSystem.open(path, .readOnly).read(count: 4096, at: 0)
        }
        return try Self.wrappingHeader(path) { () throws(FileHeader.Failure) in
            try bytes.withUnsafeBytesThrowing(Manifest.init)
        }
    }

    func readCheckpoint(_ manifest: Manifest) throws(StoreError) -> Checkpoint {
        let path = directory.appending(StoreFiles.name(.checkpoint, manifest.checkpointNumber))
        let file = try openNamed(path, .readOnly, "the checkpoint")
        let mapping = try wrapping("cannot read the checkpoint") { () throws(FileError) in
            try file.map(length: try file.size())
        }
        defer { withExtendedLifetime(mapping) {} }
        let header = try Self.header(
            of: mapping.bytes, path: path, kind: .checkpoint, number: manifest.checkpointNumber,
            identity: manifest.identity)
        do throws(DecodingFailure) {
            return try CheckpointDecoder.decode(
                mapping.bytes, header: header, checksum: manifest.checkpointChecksum)
        } catch { throw StoreError(.damaged, "the checkpoint is damaged: \(error.reason)", file: path) }
    }

    /// Maps the segments from the checkpoint's on and finds where each ends.
    private func scanTail(
        _ numbers: [UInt32], from position: LogPosition, manifest: Manifest
    ) throws(StoreError) -> [Tail] {
        let wanted = numbers.filter { $0 >= position.segment }
        for (index, number) in wanted.enumerated() where number != position.segment + UInt32(index) {
            throw StoreError(
                .damaged, "a log segment is missing",
                file: directory.appending(StoreFiles.name(.log, UInt64(position.segment) + UInt64(index))))
        }
        guard wanted.first == position.segment else {
            throw StoreError(
                .damaged, "the log segment of the checkpoint is missing",
                file: directory.appending(StoreFiles.name(.log, UInt64(position.segment))))
        }
        var opened: [(number: UInt32, header: FileHeader, file: any StoreFile, mapping: FileMapping, path: FilePath)] =
            []
        for number in wanted {
            let path = directory.appending(StoreFiles.name(.log, UInt64(number)))
            let (file, mapping) = try wrapping("cannot read a log segment") { () throws(FileError) in
                let file = try fileSystem.open(path, .readWrite)
                // What is read must be what is on disk, before a decision is built on it (F21).
                try file.synchronize()
                return (file, try file.map(length: try file.size()))
            }
            let header = try Self.header(
                of: mapping.bytes, path: path, kind: .log, number: UInt64(number), identity: manifest.identity)
            opened.append((number, header, file, mapping, path))
        }
        defer { withExtendedLifetime(opened) {} }
        var tails: [Tail] = []
        var start = position
        for (index, segment) in opened.enumerated() {
            let next = index + 1 < opened.count ? opened[index + 1].header : nil
            let scan: SegmentScan
            do throws(SegmentScan.Damage) {
                scan = try SegmentScan.scan(
                    segment.mapping.bytes, from: start, knownEnd: next?.previousLength, seed: manifest.identity.seed)
            } catch {
                throw StoreError(.damaged, error.reason, file: segment.path, offset: error.offset)
            }
            if let next, next.previousChecksum != scan.end.checksum {
                throw StoreError(
                    .damaged, "the next segment continues another log", file: segment.path, offset: Int(scan.end.offset)
                )
            }
            tails.append(
                Tail(
                    number: segment.number, header: segment.header, file: segment.file, mapping: segment.mapping,
                    path: segment.path, start: start, scan: scan))
            start = LogPosition(
                segment: segment.number + 1, offset: UInt64(FileHeader.size), checksum: scan.end.checksum)
        }
        return tails
    }

    /// Writes the last segment's tail once more, byte for byte, and syncs it. When the sync of another process failed,
    /// reads show bytes that the disk never got, and only bytes that are written anew are written by the next sync
    /// (F21).
    private func rewrite(_ tail: Tail) throws(StoreError) {
        let place = Int(tail.start.offset)..<Int(tail.scan.end.offset)
        guard !place.isEmpty else { return }
        defer { withExtendedLifetime(tail.mapping) {} }
        let bytes = UnsafeRawBufferPointer(rebasing: tail.mapping.bytes[place])
        try wrapping("cannot write the log's tail anew") { () throws(FileError) in
            try tail.file.write(bytes, at: place.lowerBound)
            try tail.file.synchronize()
        }
    }

    private func removeLeftovers(
        _ names: [String], checkpoint: Checkpoint, manifest: Manifest
    ) throws(StoreError) {
        for name in names {
            let isLeftover: Bool
            switch StoreFiles.parse(name) {
            case (.index, let number)?: isLeftover = number >= UInt64(checkpoint.nextIndexNumber)
            case (.checkpoint, let number)?: isLeftover = number != manifest.checkpointNumber
            case nil: isLeftover = StoreFiles.isTemporary(name)
            default: isLeftover = false
            }
            guard isLeftover else { continue }
            try wrapping("cannot remove a leftover") { () throws(FileError) in
                try fileSystem.remove(directory.appending(name))
            }
        }
    }

    private func openIndex(_ checkpoint: Checkpoint, files: StoreFiles) throws(StoreError) -> MemoIndex {
        func openFile(_ number: UInt32, _ mode: FileOpenMode, length: Int) throws(StoreError) -> IndexFile {
            let path = files.path(.index, UInt64(number))
            let file = try openNamed(path, mode, "an index segment")
            let size = try wrapping("cannot read an index segment") { () throws(FileError) in try file.size() }
            guard size >= length, length >= FileHeader.size else {
                throw StoreError(.damaged, "an index segment is shorter than the checkpoint says", file: path)
            }
            let head = try wrapping("cannot read an index segment") { () throws(FileError) in
                try file.read(count: FileHeader.size, at: 0)
            }
            _ = try head.withUnsafeBytesThrowing { (bytes) throws(StoreError) in
                try Self.header(
                    of: bytes, path: path, kind: .index, number: UInt64(number), identity: files.identity)
            }
            return IndexFile(number: number, file: file)
        }
        var sealed: [SealedIndexSegment] = []
        for entry in checkpoint.sealed {
            let length = SealedIndexSegment.length(
                directoryOffset: entry.directoryOffset, entryCount: Int(entry.entryCount))
            let segment = SealedIndexSegment(
                file: try openFile(entry.number, .readOnly, length: length), directoryOffset: entry.directoryOffset,
                entryCount: Int(entry.entryCount))
            try segment.verifyDirectory(identity: files.identity)
            sealed.append(segment)
        }
        let open = try checkpoint.open.map { (entry) throws(StoreError) in
            OpenIndexSegment(
                file: try openFile(entry.number, .readWrite, length: Int(clamping: entry.length)),
                encoder: FrameEncoder(
                    identity: files.identity, segment: entry.number, position: entry.length,
                    checksum: entry.checksum),
                entries: entry.entries)
        }
        return MemoIndex(
            files: files, segmentBytes: configuration.indexSegmentBytes, sealed: sealed, open: open,
            nextNumber: checkpoint.nextIndexNumber)
    }

    /// Applies the frames that the scan found good.
    private func replay(_ tail: Tail, into state: inout StoreState, _ index: inout MemoIndex) throws(StoreError) {
        let mapping = tail.mapping
        defer { withExtendedLifetime(mapping) {} }
        let seed = tail.header.identity.seed
        var offset = Int(tail.start.offset)
        while offset < Int(tail.scan.end.offset) {
            do throws(DecodingFailure) {
                guard
                    let frame = FrameHeader(mapping.bytes, at: offset, segment: tail.number, seed: seed),
                    let stored = frame.body(in: mapping.bytes, seed: seed)
                else { throw DecodingFailure("a frame changed while it was read") }
                var changes = ChangeCollector()
                let body = try frame.decoded(stored)
                try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                    try state.apply(bytes, segment: tail.number, frameOffset: UInt64(offset), changes: &changes)
                }
                offset += frame.totalLength
                if frame.kind == .commit { state.finishBatch(openLimit: configuration.openBlockBytes) }
            } catch {
                throw StoreError(.damaged, error.reason, file: tail.path, offset: offset)
            }
            for block in state.fullBlocks {
                try wrapping("cannot write the index") { () throws(FileError) in try index.append(block) }
            }
            state.fullBlocks.removeAll(keepingCapacity: true)
        }
    }

    // MARK: Headers

    static func wrappingHeader<Value>(
        _ path: FilePath, _ body: () throws(FileHeader.Failure) -> Value
    ) throws(StoreError) -> Value {
        do throws(FileHeader.Failure) { return try body() } catch {
            switch error {
            case .notAStore(let reason): throw StoreError(.notAStore, reason, file: path)
            case .unsupported(let reason): throw StoreError(.unsupportedVersion, reason, file: path)
            case .damaged(let reason): throw StoreError(.damaged, reason, file: path)
            }
        }
    }

    static func header(
        of bytes: UnsafeRawBufferPointer, path: FilePath, kind: FileHeader.Kind, number: UInt64,
        identity: StoreIdentity
    ) throws(StoreError) -> FileHeader {
        let header = try wrappingHeader(path) { () throws(FileHeader.Failure) in try FileHeader(bytes) }
        guard header.identity == identity else {
            throw StoreError(.notAStore, "the file belongs to another store", file: path)
        }
        guard header.kind == kind, header.number == number else {
            throw StoreError(.notAStore, "the file is \(header.kind) \(header.number) under another name", file: path)
        }
        return header
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` for bodies with a typed error.
    func withUnsafeBytesThrowing<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withUnsafeBufferPointer { (buffer) throws(Failure) -> Value in
            try body(UnsafeRawBufferPointer(buffer))
        }
    }
}
