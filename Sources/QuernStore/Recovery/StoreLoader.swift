// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Reads a store's files and decides what they hold, and writes nothing: what recovery, a reader of a live store and
/// the tools begin with.
struct StoreLoader {
    let directory: FilePath
    let fileSystem: any FileSystem
    /// How files that are not sealed are opened: `readWrite` by recovery, which goes on writing them. `readOnly` leaves
    /// everything as it is (F26).
    let access: FileOpenMode

    private var purpose: FileHeader.Purpose { access == .readOnly ? .reading : .writing }

    /// A log segment that is part of the tail.
    struct Tail {
        var number: UInt32
        var header: FileHeader
        /// To go on with; of the last one alone, since there may be more of them than a process has descriptors.
        var file: (any StoreFile)?
        var mapping: FileMapping
        var path: FilePath
        var start: LogPosition
        var scan: SegmentScan
    }

    private func wrapping<Value>(
        _ message: String, _ body: () throws(FileError) -> Value
    ) throws(StoreError) -> Value {
        try StoreError.wrapping(message, body)
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

    /// The numbers of the log segments that are in the directory, in order.
    func logSegments() throws(StoreError) -> [UInt32] {
        let names = try wrapping("cannot list the store") { () throws(FileError) in try fileSystem.list(directory) }
        return Self.logSegments(names)
    }

    static func logSegments(_ names: [String]) -> [UInt32] {
        names.compactMap { name -> UInt32? in
            guard let (kind, number) = StoreFiles.parse(name), kind == .log else { return nil }
            return UInt32(exactly: number)
        }.sorted()
    }

    /// The store's manifest, without which there is no store.
    ///
    /// - Throws: ``StoreError/Code/notFound`` or ``StoreError/Code/notAStore``.
    func readManifest() throws(StoreError) -> Manifest {
        let path = directory.appending(StoreFiles.manifestName)
        let bytes: [UInt8]
        do throws(FileError) { bytes = try fileSystem.open(path, .readOnly).read(count: 4096, at: 0) } catch {
            throw StoreError("cannot read the manifest", opening: directory, error)
        }
        return try Self.wrappingHeader(path) { () throws(FileHeader.Failure) in
            try bytes.withUnsafeBytesThrowing { (bytes) throws(FileHeader.Failure) in
                try Manifest(bytes, for: purpose)
            }
        }
    }

    /// The checkpoint that the manifest names, or its mirror when that is damaged.
    func readCheckpoint(_ manifest: Manifest) throws(StoreError) -> Checkpoint {
        do throws(StoreError) { return try readCheckpoint(manifest, .checkpoint) } catch {
            guard error.code != .unsupportedVersion, var mirror = try? readCheckpoint(manifest, .mirror) else {
                throw error
            }
            mirror.damage = error
            return mirror
        }
    }

    private func readCheckpoint(_ manifest: Manifest, _ kind: FileHeader.Kind) throws(StoreError) -> Checkpoint {
        let path = directory.appending(StoreFiles.name(kind, manifest.checkpointNumber))
        let file = try openNamed(path, .readOnly, "the checkpoint")
        let (size, head) = try wrapping("cannot read the checkpoint") { () throws(FileError) in
            (try file.size(), try file.read(count: FileHeader.size, at: 0))
        }
        let number = manifest.checkpointNumber
        _ = try head.withUnsafeBytesThrowing { (bytes) throws(StoreError) in
            try header(of: bytes, path: path, kind: kind, number: number, identity: manifest.identity)
        }
        let frames = CheckpointFrames(
            size: size, segment: UInt32(truncatingIfNeeded: number), seed: manifest.identity.seed
        ) { (count, offset) throws(FileError) in try file.read(count: count, at: offset) }
        do throws(CheckpointFrames.Failure) {
            return try CheckpointDecoder.decode(frames, checksum: manifest.checkpointChecksum)
        } catch {
            switch error {
            case .file(let error): throw StoreError("cannot read the checkpoint", error)
            case .damaged(let reason, _): throw StoreError(.damaged, "the checkpoint is damaged: \(reason)", file: path)
            }
        }
    }

    /// Maps the segments from the checkpoint's on and finds where each ends.
    func scanTail(
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
        guard let newest = wanted.last, newest >= manifest.newestLog else {
            throw StoreError(
                .damaged, "the newest log segment is missing",
                file: directory.appending(StoreFiles.name(.log, UInt64(manifest.newestLog))))
        }
        var opened: [(number: UInt32, header: FileHeader, file: (any StoreFile)?, mapping: FileMapping, path: FilePath)]
        opened = []
        for number in wanted {
            let path = directory.appending(StoreFiles.name(.log, UInt64(number)))
            let (file, mapping) = try wrapping("cannot read a log segment") { () throws(FileError) in
                let file = try fileSystem.open(path, access)
                // What is read must be what is on disk, before recovery builds a decision on it (F21).
                if access == .readWrite { try file.synchronize() }
                return (file, try file.map(length: try file.size()))
            }
            let header = try header(
                of: mapping.bytes, path: path, kind: .log, number: UInt64(number), identity: manifest.identity)
            opened.append((number, header, number == newest ? file : nil, mapping, path))
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
                segment: segment.number &+ 1, offset: UInt64(FileHeader.size), checksum: scan.end.checksum)
        }
        return tails
    }

    /// The index that a checkpoint names. Sealed segments are looked for by name, and opened when they are read.
    func openIndex(_ checkpoint: Checkpoint, files: StoreFiles) throws(StoreError) -> MemoIndex {
        var index = MemoIndex(numbers: IndexNumbers(next: checkpoint.nextIndexNumber))
        let names = Set(
            try wrapping("cannot list the store") { () throws(FileError) in try fileSystem.list(directory) })
        for entry in checkpoint.sealed {
            guard names.contains(StoreFiles.name(.index, UInt64(entry.number))) else {
                throw StoreError(
                    .damaged, "an index segment is missing", file: files.path(.index, UInt64(entry.number)))
            }
            index.sealed.append(
                SealedIndexSegment(
                    number: entry.number, directoryOffset: entry.directoryOffset, entryCount: Int(entry.entryCount),
                    tier: entry.tier, in: files))
        }
        index.open = try checkpoint.open.map { (entry) throws(StoreError) in
            let length = Int(clamping: entry.length)
            let file = try openIndexFile(entry.number, length: length, of: files.identity)
            let held =
                if access == .readWrite {
                    try wrapping("cannot take over an index segment") { () throws(FileError) in
                        try files.takeOver(file, files.header(.index, number: UInt64(entry.number)), length: length)
                    }
                } else { nil as StoreFiles.Held? }
            return OpenIndexSegment(
                number: entry.number, output: held?.file ?? SharedFile(file), hold: held?.hold,
                encoder: FrameEncoder(
                    identity: files.identity, segment: entry.number, position: entry.length,
                    checksum: entry.checksum),
                entries: entry.entries)
        }
        return index
    }

    /// Opens an index segment that the checkpoint names, and checks that it is that segment and as long as it must be.
    func openIndexFile(
        _ number: UInt32, length: Int, of identity: StoreIdentity
    ) throws(StoreError) -> any StoreFile {
        let path = directory.appending(StoreFiles.name(.index, UInt64(number)))
        let file = try openNamed(path, access, "an index segment")
        let size = try wrapping("cannot read an index segment") { () throws(FileError) in try file.size() }
        guard size >= length, length >= FileHeader.size else {
            throw StoreError(.damaged, "an index segment is shorter than the checkpoint says", file: path)
        }
        try checkHeader(of: file, kind: .index, number: number, identity: identity)
        return file
    }

    /// Opens a log segment that a live task's payload is in, and checks that it is that segment.
    func openLogFile(_ number: UInt32, of identity: StoreIdentity) throws(StoreError) -> any StoreFile {
        let path = directory.appending(StoreFiles.name(.log, UInt64(number)))
        let file = try wrapping("cannot open a log segment") { () throws(FileError) in
            try fileSystem.open(path, access)
        }
        try checkHeader(of: file, kind: .log, number: number, identity: identity)
        return file
    }

    private func checkHeader(
        of file: any StoreFile, kind: FileHeader.Kind, number: UInt32, identity: StoreIdentity
    ) throws(StoreError) {
        let head = try wrapping("cannot read a file header") { () throws(FileError) in
            try file.read(count: FileHeader.size, at: 0)
        }
        _ = try head.withUnsafeBytesThrowing { (bytes) throws(StoreError) in
            try header(of: bytes, path: file.path, kind: kind, number: UInt64(number), identity: identity)
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

    private func header(
        of bytes: UnsafeRawBufferPointer, path: FilePath, kind: FileHeader.Kind, number: UInt64,
        identity: StoreIdentity
    ) throws(StoreError) -> FileHeader {
        let header = try Self.wrappingHeader(path) { () throws(FileHeader.Failure) in
            try FileHeader(bytes, for: purpose)
        }
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
