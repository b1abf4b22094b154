// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Opens a store's files: checkpoint, then the log's tail (S6).
///
/// First it decides by reading alone what the log holds; only then does it write, and what it writes is behind what the
/// checkpoint vouches for, so that a crash inside leads to the same decision again (F15). It removes what the
/// checkpoint does not name when all that it names has been found to be whole: a repair may need it else.
struct Recovery {
    let directory: FilePath
    let fileSystem: any FileSystem
    let configuration: MemoStore.Configuration
    let lock: any FileLock

    private var loader: StoreLoader { StoreLoader(directory: directory, fileSystem: fileSystem, access: .readWrite) }

    struct Result {
        var files: StoreFiles
        var state: StoreState
        var index: MemoIndex
        var log: LogWriter
        var manifest: ManifestFile
        var report: RecoveryReport
        /// Log segments that are there.
        var segments: [UInt32]
        var reserve: SpaceReserve
    }

    func run() throws(StoreError) -> Result {
        // Some file systems need space even to write a byte anew.
        try SpaceReserve.givingBack(in: directory, fileSystem) { () throws(StoreError) in try attempt() }
    }

    private func attempt() throws(StoreError) -> Result {
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
        for name in names {
            guard let (kind, number) = StoreFiles.parse(name) else { continue }
            let path = directory.appending(name)
            let size = try wrapping("cannot read a file") { () throws(FileError) in
                try fileSystem.open(path, .readOnly).size()
            }
            guard InterruptedCreation.leaves(kind, number, size: size) else {
                throw StoreError(.damaged, "the manifest is missing", file: path)
            }
        }
        for name in names where StoreFiles.parse(name) != nil || StoreFiles.isTemporary(name) {
            try wrapping("cannot remove a leftover") { () throws(FileError) in
                try fileSystem.remove(directory.appending(name))
            }
        }
        let files = StoreFiles(
            directory: directory, fileSystem: fileSystem, identity: configuration.identity ?? .random(), epoch: 1,
            lock: lock)
        var state = StoreState()
        state.blockSizes = configuration.blockSizes
        let index = MemoIndex()
        let manifest = ManifestFile(
            Manifest(
                generation: 0, identity: files.identity, epoch: 1, checkpointNumber: 0, checkpointChecksum: 0,
                isClean: true, newestLog: 0),
            in: files)
        let log = try wrapping("cannot create the log") { () throws(FileError) in
            try LogWriter(files: files, manifest: manifest, configuration: configuration)
        }
        try wrapping("cannot create the store") { () throws(FileError) in
            _ = try CheckpointWriter(files: files, manifest: manifest).write(
                state: state, index: index, position: log.position, isClean: false)
        }
        var report = RecoveryReport()
        report.created = true
        return Result(
            files: files, state: state, index: index, log: log, manifest: manifest, report: report, segments: [1],
            reserve: SpaceReserve(files: files, bytes: configuration.reserveBytes))
    }

    // MARK: An existing store

    private func open(_ names: [String]) throws(StoreError) -> Result {
        let manifest = try loader.readManifest()
        let checkpoint = try loader.readCheckpoint(manifest)
        let numbers = StoreLoader.logSegments(names)
        let tails = try loader.scanTail(numbers, from: checkpoint.position, manifest: manifest)

        // From here on the decision stands, and files may be written.
        let epoch = max(manifest.epoch, tails.map(\.header.epoch).max() ?? 0) + 1
        let files = StoreFiles(
            directory: directory, fileSystem: fileSystem, identity: manifest.identity, epoch: epoch,
            lock: lock)
        var state = checkpoint.state
        var index = try loader.openIndex(checkpoint, files: files)
        state.blockSizes = configuration.blockSizes
        var report = RecoveryReport()
        report.checkpointDamage = checkpoint.damage
        let durable = try TailReplay(tails: tails, files: files, configuration: configuration)
            .run(&state, &index)
        for tail in tails {
            report.replayedFrames += tail.scan.frames
            report.replayedBytes += Int(tail.scan.end.offset - tail.start.offset)
            report.tornBytes += tail.scan.tornBytes
            if tail.scan.tornBytes > 0 { report.tornFile = tail.path }
        }
        state.dropStages()
        // Who commits begins a segment: with one behind the checkpoint's, somebody did and never closed.
        report.wasClean = manifest.isClean && tails.count == 1 && report.replayedFrames == 0
        guard let last = tails.last, let file = last.file else {
            throw StoreError(.damaged, "the log is missing", file: directory)
        }
        let given = GivenNumbers(
            manifest: manifest, epoch: epoch - 1, state: state, newestLog: last.number,
            nextIndex: checkpoint.nextIndexNumber)
        if let reason = given.exhaustion { throw StoreError(.damaged, reason, file: directory) }
        try removeLeftovers(names, index: index, manifest: manifest)
        let vouched = min(max(last.start.offset, durable), last.scan.end.offset)
        try rewrite(last, of: file, from: vouched)
        let manifestFile = ManifestFile(manifest, in: files)
        let log = LogWriter(
            files: files, manifest: manifestFile, configuration: configuration, behind: last.scan.end,
            vouchedUpTo: vouched, of: file)
        return Result(
            files: files, state: state, index: index, log: log, manifest: manifestFile, report: report,
            segments: numbers,
            reserve: SpaceReserve(
                files: files, bytes: configuration.reserveBytes, foundBytes: try sizeOfReserve()))
    }

    /// Writes what nothing vouches for in the last segment once more, byte for byte, and syncs it. When the sync of
    /// another process failed, reads show bytes that the disk never got, and only bytes that are written anew are
    /// written by the next sync (F21).
    ///
    /// - Parameter vouched: how far the checkpoint and the segment's frames say that it was on disk.
    private func rewrite(
        _ tail: StoreLoader.Tail, of file: any StoreFile, from vouched: UInt64
    ) throws(StoreError) {
        let place = Int(vouched)..<Int(tail.scan.end.offset)
        guard !place.isEmpty else { return }
        defer { withExtendedLifetime(tail.mapping) {} }
        let bytes = UnsafeRawBufferPointer(rebasing: tail.mapping.bytes[place])
        try wrapping("cannot write the log's tail anew") { () throws(FileError) in
            let file = SharedFile(file, lock: lock)
            try file.write(bytes, at: place.lowerBound)
            try file.synchronize()
        }
    }

    private func sizeOfReserve() throws(StoreError) -> Int {
        try wrapping("cannot read the size of the reserve") { () throws(FileError) in
            try fileSystem.openIfPresent(directory.appending(StoreFiles.reserveName))?.size() ?? 0
        }
    }

    private func removeLeftovers(
        _ names: [String], index: MemoIndex, manifest: Manifest
    ) throws(StoreError) {
        // What the checkpoint does not name was begun after it, or was replaced by a compaction that it knows of. A
        // segment that the replay began may have taken the name of such a one.
        let named = Set(index.sealed.map(\.file.number) + (index.open.map { [$0.file.number] } ?? []))
        for name in names {
            let isLeftover: Bool
            switch StoreFiles.parse(name) {
            case (.index, let number)?: isLeftover = !(UInt32(exactly: number).map(named.contains) ?? false)
            case (.checkpoint, let number)?, (.mirror, let number)?: isLeftover = number != manifest.checkpointNumber
            case nil: isLeftover = StoreFiles.isTemporary(name)
            default: isLeftover = false
            }
            guard isLeftover else { continue }
            try wrapping("cannot remove a leftover") { () throws(FileError) in
                // The replay may have made a file of a temporary name its own.
                try fileSystem.removeIfPresent(directory.appending(name))
            }
        }
    }
}
