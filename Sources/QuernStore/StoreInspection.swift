// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What a store's manifest and last checkpoint say, read without the writer's lock and without changing anything.
///
/// Of a store in use it is as old as the last checkpoint: what was committed since is in ``logBytesAfterCheckpoint``.
public struct StoreInspection: Sendable {
    /// The version of the format.
    public var formatVersion: Int
    /// How often the store was opened to write.
    public var openings: UInt64
    /// Whether the last writer closed it in order. False while a writer has it.
    public var wasClosedInOrder: Bool
    /// The number of the checkpoint that counts.
    public var checkpoint: UInt64
    /// Tasks without an outcome.
    public var liveTasks: Int
    /// Live tasks that have or had children.
    public var liveParents: Int
    /// How the root tasks ended.
    public var endedRoots: OutcomeCounts
    /// Trees that were dropped and wait for a compaction.
    public var droppedTrees: Int
    /// The names behind the labels, in the order of their numbers.
    public var names: [String]
    /// In the order of their numbers.
    public var logSegments: [File]
    /// In the order of their numbers.
    public var indexSegments: [File]
    /// Bytes of log behind the checkpoint: what the next opening reads.
    public var logBytesAfterCheckpoint: Int
    /// What was wrong with the checkpoint when its mirror was read in its place.
    public var checkpointDamage: StoreError?

    /// A segment.
    public struct File: Sendable, Equatable {
        /// Its name in the directory.
        public var name: String
        /// In bytes; a log segment without the zeros that are written ahead of it.
        public var size: Int
    }

    /// Reads a store's state, also while a writer is at work on it. Blocking. O(live tasks).
    ///
    /// - Throws: as ``MemoReader/open(at:fileSystem:)``.
    public init(of directory: FilePath, fileSystem: any FileSystem = PosixFileSystem()) throws(StoreError) {
        let loader = StoreLoader(directory: directory, fileSystem: fileSystem, access: .readOnly)
        var attempts = ReadAttempts()
        while true {
            var generation: UInt64?
            do throws(StoreError) {
                let manifest = try loader.readManifest()
                generation = manifest.checkpointNumber
                self = try StoreInspection(manifest, loader)
                return
            } catch {
                // The writer may have removed the checkpoint under way: then there is another manifest (F27).
                if let final = attempts.failure(error, generation: generation) { throw final }
            }
        }
    }

    private init(_ manifest: Manifest, _ loader: StoreLoader) throws(StoreError) {
        let checkpoint = try loader.readCheckpoint(manifest)
        formatVersion = Int(FileHeader.version)
        openings = manifest.epoch
        wasClosedInOrder = manifest.isClean
        self.checkpoint = manifest.checkpointNumber
        checkpointDamage = checkpoint.damage
        liveTasks = checkpoint.state.live.count
        liveParents = checkpoint.state.parents.count - 1
        endedRoots = checkpoint.state.parents.status(of: .none)?.counts ?? OutcomeCounts()
        droppedTrees = checkpoint.state.dropped.count
        self.names = checkpoint.state.labels.names
        var files: [FileHeader.Kind: [(number: UInt64, file: File)]] = [:]
        let present = try StoreError.wrapping("cannot list the store") { () throws(FileError) in
            try loader.fileSystem.list(loader.directory)
        }
        for name in present {
            guard let (kind, number) = StoreFiles.parse(name), let size = try Self.size(of: name, kind, loader)
            else { continue }
            files[kind, default: []].append((number, File(name: name, size: size)))
        }
        let logs = (files[.log] ?? []).sorted { $0.number < $1.number }
        logSegments = logs.map(\.file)
        indexSegments = (files[.index] ?? []).sorted { $0.number < $1.number }.map(\.file)
        let position = checkpoint.position
        logBytesAfterCheckpoint = logs.reduce(into: 0) { bytes, log in
            if log.number == UInt64(position.segment) {
                bytes += max(0, log.file.size - Int(clamping: position.offset))
            } else if log.number > UInt64(position.segment) {
                bytes += max(0, log.file.size - FileHeader.size)
            }
        }
    }

    /// Nil when the file is gone.
    private static func size(
        of name: String, _ kind: FileHeader.Kind, _ loader: StoreLoader
    ) throws(StoreError) -> Int? {
        try StoreError.wrapping("cannot read a file's size") { () throws(FileError) in
            guard let file = try loader.fileSystem.openIfPresent(loader.directory.appending(name)) else { return nil }
            let size = try file.size()
            guard kind == .log else { return size }
            let mapping = try file.map(length: size)
            return withExtendedLifetime(mapping) { min(size, SegmentScan.usedLength(mapping.bytes)) }
        }
    }
}
