// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Copies a store as it is at one moment, also while a writer is at work on it.
///
/// The files are opened first, and read as ``OfflineStore`` reads them: so it is known which of them count together,
/// and that a writer removes some meanwhile does not matter. Of those that grow so much is copied as counts: the open
/// index segment as far as the checkpoint says, the last log segment up to the end of its last whole batch. The
/// manifest comes last, so that a copy that was cut short is no store.
package struct StoreCopy {
    package struct Report: Sendable {
        package var files = 0
        package var bytes: UInt64 = 0
        package var liveTasks: UInt64 = 0
    }

    private static let pieceBytes = 1 << 20

    private let store: OfflineStore
    private let target: StoreFiles
    private let progress: (_ done: UInt64, _ total: UInt64) -> Void
    private var report = Report()
    private var total: UInt64 = 0

    /// - Parameters:
    ///   - directory: where the copy is to be: empty, or not there.
    ///   - isLive: whether a writer may be at work; without it the writer's lock is taken meanwhile.
    ///   - progress: is told bytes now and then.
    /// - Throws: ``StoreError/Code/damaged`` when what is to be copied is not whole; ``StoreError/Code/rejected`` when
    ///   the directory is not empty; ``StoreError/Code/locked``; as reading and writing files does. What was written is
    ///   removed then.
    package static func run(
        of source: FilePath, into directory: FilePath, isLive: Bool,
        fileSystem: any FileSystem = PosixFileSystem(),
        progress: @escaping (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) throws(StoreError) -> Report {
        // There must be a store, since a lock makes a directory.
        _ = try RawStore(at: source, fileSystem: fileSystem)
        let sourceLock = isLive ? nil : try MemoStore.acquireLock(source, fileSystem)
        defer { sourceLock?.release() }
        let store = try OfflineStore.read(at: source, fileSystem: fileSystem)
        if let damage = store.findings.first(where: { $0.severity >= .spared }) {
            throw StoreError(
                .damaged, "\(damage.what): \(damage.consequence)", file: source.appending(damage.file),
                offset: damage.offset)
        }
        try StoreBuilder.requireEmpty(directory, fileSystem)
        let lock = try MemoStore.acquireLock(directory, fileSystem, makes: true)
        defer { lock.release() }
        let target = StoreFiles(
            directory: directory, fileSystem: fileSystem, identity: store.identity, epoch: 0, lock: lock)
        var copy = StoreCopy(store: store, target: target, progress: progress)
        do throws(FileError) {
            let report = try copy.run()
            try? lock.write(LockHolder.current)
            return report
        } catch {
            UnfinishedStore.remove(from: directory, fileSystem, holding: lock)
            throw StoreError("cannot copy the store", error)
        }
    }

    private init(
        store: OfflineStore, target: StoreFiles, progress: @escaping (_ done: UInt64, _ total: UInt64) -> Void
    ) {
        self.store = store
        self.target = target
        self.progress = progress
    }

    private mutating func run() throws(FileError) -> Report {
        var parts: [(file: RawFile, end: Int)] = []
        if let checkpoint = store.checkpointFile { parts.append((checkpoint, checkpoint.size)) }
        for segment in store.base?.sealed ?? [] {
            if let file = store.raw.file(.index, UInt64(segment.number)) { parts.append((file, file.size)) }
        }
        if let open = store.base?.open, let file = store.raw.file(.index, UInt64(open.number)) {
            parts.append((file, Int(clamping: open.length)))
        }
        parts += logs
        total = parts.reduce(0) { $0 + UInt64($1.end) }
        for part in parts { try copy(part.file, to: part.end) }
        if let checkpoint = store.checkpointFile {
            // Not that of the store, which nobody has looked at.
            try CheckpointWriter.mirror(checkpoint.number, size: checkpoint.size, in: target)
        }
        if let manifest = store.raw.manifestFile { try copy(manifest, to: manifest.size) }
        report.liveTasks = UInt64(store.state.live.count)
        return report
    }

    /// The segments up to the last whole batch: those from the checkpoint on, and older ones that a live task needs.
    private var logs: [(file: RawFile, end: Int)] {
        let end = store.logEnd
        let files = store.raw.files(.log).filter { $0.number <= UInt64(end.segment) }
        let oldest = store.checkpointPosition.map { UInt64($0.segment) } ?? 0
        let needed = LogUse(store.state).segments
        return files.enumerated().compactMap { index, file in
            guard file.number >= oldest || needed[UInt32(clamping: file.number)] != nil else { return nil }
            if file.number == UInt64(end.segment) { return (file, Int(clamping: end.offset)) }
            // Zeros behind what counts need not be copied.
            let next = index + 1 < files.count ? files[index + 1] : nil
            guard let next, next.number == file.number + 1,
                let header = try? next.checkedHeader(of: store.identity)
            else { return (file, file.size) }
            return (file, min(file.size, Int(clamping: header.previousLength)))
        }
    }

    private mutating func copy(_ file: RawFile, to end: Int) throws(FileError) {
        // A file of a store that is not damaged has a header.
        guard let header = try? file.header.get() else { return }
        var buffer = [UInt8](repeating: 0, count: min(Self.pieceBytes, max(end, 1)))
        var copied = report.bytes
        let (progress, total) = (progress, total)
        try target.put(header) { (copy) throws(FileError) in
            var offset = FileHeader.size
            while offset < end {
                let count = try file.read(into: &buffer, count: min(buffer.count, end - offset), at: offset)
                guard count > 0 else {
                    throw FileError(operation: "read", path: copy.path, offset: offset, errno: .ioError)
                }
                try buffer.withUnsafeBytesThrowing { (bytes) throws(FileError) in
                    try copy.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset)
                }
                offset += count
                copied += UInt64(count)
                progress(copied, total)
            }
        }
        report.files += 1
        report.bytes = copied + UInt64(FileHeader.size)
    }
}
