// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Rewrites a store that nobody uses in its own directory (S15): each parent's children side by side in full blocks,
/// what live tasks need of the log in new segments, and nothing else.
///
/// It takes the writer's lock and opens the store as a writer does. All that it writes says once more what is there
/// already, so that it may be killed at any moment: what does not count the next writer removes, and what does changes
/// nothing. It takes as much space as the new files do before it gives that of the old ones back.
package struct CompactionInPlace {
    private let fileSystem: any FileSystem
    private let directory: FilePath
    private let configuration: MemoStore.Configuration

    package struct Report: Sendable {
        /// Bytes of all files of the store.
        package var bytesBefore: Int
        package var bytesAfter: Int
        package var children: UInt64
        package var liveTasks: UInt64

        package init(bytesBefore: Int, bytesAfter: Int = 0, children: UInt64 = 0, liveTasks: UInt64 = 0) {
            self.bytesBefore = bytesBefore
            self.bytesAfter = bytesAfter
            self.children = children
            self.liveTasks = liveTasks
        }
    }

    package init(
        of directory: FilePath, fileSystem: any FileSystem = PosixFileSystem(),
        configuration: MemoStore.Configuration = MemoStore.Configuration()
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.configuration = configuration
    }

    /// Blocking.
    ///
    /// - Parameter progress: is told of ended children now and then.
    /// - Throws: ``StoreError/Code/locked`` when a writer has the store; ``StoreError/Code/damaged`` when not all of it
    ///   can be read; else as ``MemoStore/open(at:configuration:fileSystem:)``. The store is as it was then.
    package func run(
        progress: ((_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) throws -> Report {
        // There must be a store, since a lock makes a directory.
        _ = try StoreLoader(directory: directory, fileSystem: fileSystem, access: .readOnly).readManifest()
        let lock = try MemoStore.acquireLock(directory, fileSystem)
        defer { lock.release() }
        return try SpaceReserve.givingBack(in: directory, fileSystem) { try run(holding: lock, progress) }
    }

    private func run(
        holding lock: any FileLock, _ progress: ((_ done: UInt64, _ total: UInt64) -> Void)?
    ) throws -> Report {
        // Nobody goes on with these files.
        var configuration = configuration
        configuration.logReserveBytes = 0
        var report = Report(bytesBefore: try size())
        let recovered = try Recovery(
            directory: directory, fileSystem: fileSystem, configuration: configuration, lock: lock
        ).run()
        defer { recovered.index.open?.hold?.release() }
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: directory, fileSystem: fileSystem), for: .whole, progress: progress)
        var rewriting = StoreRewriting(recovered, configuration: configuration)
        do { try contents.tell(&rewriting) } catch {
            rewriting.removeAll()
            throw error
        }
        (report.children, report.liveTasks) = (contents.children, contents.liveTasks)
        report.bytesAfter = try size()
        return report
    }

    private func size() throws(StoreError) -> Int {
        try RawStore(at: directory, fileSystem: fileSystem).bytes
    }
}

/// The files that take the place of a store's own, as far as they are written.
private struct StoreRewriting: StoreSink {
    private let files: StoreFiles
    private let manifest: ManifestFile
    private let old: MemoIndex
    private var state: StoreState
    private var log: LogWriter
    private var index: IndexBuilder
    private var relocation = Transaction()
    private var relocationBytes = 0

    init(_ recovered: Recovery.Result, configuration: MemoStore.Configuration) {
        files = recovered.files
        manifest = recovered.manifest
        old = recovered.index
        state = recovered.state
        log = recovered.log
        index = IndexBuilder(files: files, configuration: configuration, numbers: recovered.index.numbers)
    }

    /// What is not in the log, which goes on as it did. What a manifest may name by now stays: the next opening removes
    /// what is not named.
    func removeAll() { if !manifest.isInDoubt { index.removeAll() } }

    mutating func begin(_ head: StoreHead) throws {
        do throws(FileError) { try log.rotate() } catch { throw StoreError("cannot begin a log segment", error) }
    }

    mutating func add(_ run: LiveRunContents) throws {
        guard let entry = state.live.entry(ofRunWith: run.firstID) else { return }
        var lengths = [UInt32](repeating: 0, count: run.count)
        var payloads: [UInt8] = []
        for task in run.tasks {
            lengths[Int(task.id.rawValue - run.firstID.rawValue)] = UInt32(task.payload.count)
            payloads += task.payload
        }
        relocation.relocate(entry.run, lengths: lengths, payloads: payloads)
        try relocate(payloads.count + run.count)
    }

    mutating func add(_ kept: KeptContents) throws {
        guard let place = state.slots[kept.task, kept.slot] else { return }
        relocation.relocateKept(by: kept.task, slot: kept.slot, from: place, value: kept.value)
        try relocate(kept.value.count)
    }

    private mutating func relocate(_ bytes: Int) throws(StoreError) {
        relocationBytes += bytes
        if relocationBytes >= Limits.frameTarget { try commitRelocation() }
    }

    /// Commits what was gathered, as a writer does.
    private mutating func commitRelocation() throws(StoreError) {
        if relocation.isEmpty { return }
        var batch = Batch()
        batch.begin(state)
        _ = try batch.add(relocation, to: &state)
        relocation = Transaction()
        relocationBytes = 0
        let written: [LogWriter.Written]
        do throws(FileError) {
            written = try log.append(&batch, firstID: state.nextID, firstSequence: state.nextSequence)
        } catch { throw StoreError("cannot append to the log", error) }
        var changes = ChangeCollector()
        for frame in written {
            do throws(DecodingFailure) {
                try frame.body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
                    try state.apply(body, segment: log.segment, frameOffset: frame.offset, changes: &changes)
                }
            } catch { throw StoreError(.damaged, "what was relocated does not apply: \(error.reason)") }
        }
    }

    mutating func add(_ parent: ParentContents) throws {}

    mutating func add(_ rows: OutcomeBlock) throws { try index.add(rows) }

    mutating func finish() throws {
        try commitRelocation()
        var contents = MemoIndex(numbers: old.numbers)
        contents.sealed = try index.seal()
        state.forgetEndedChildren()
        let previous = manifest.current.checkpointNumber
        let writer = CheckpointWriter(files: files, manifest: manifest)
        let size: UInt64
        do throws(FileError) {
            try log.synchronize()
            size = try writer.write(
                state: state, index: contents, position: log.position, isClean: state.inFlight.isEmpty)
        } catch { throw StoreError("cannot write the checkpoint", error) }
        removeOld(checkpoint: previous, keeping: contents)
        writer.mirror(size: size)
    }

    /// What cannot be removed now the next writer removes.
    private func removeOld(checkpoint: UInt64, keeping index: MemoIndex) {
        let named = Set(index.sealed.map { UInt64($0.file.number) })
        let needed = LogUse(state).segments
        for name in (try? files.fileSystem.list(files.directory)) ?? [] {
            let isOld =
                switch StoreFiles.parse(name) {
                case (.checkpoint, let number)?, (.mirror, let number)?: number == checkpoint
                case (.index, let number)?: !named.contains(number)
                case (.log, let number)?:
                    number < UInt64(log.position.segment) && needed[UInt32(truncatingIfNeeded: number)] == nil
                default: false
                }
            if isOld { try? files.remove(files.directory.appending(name)) }
        }
    }
}

extension StoreState {
    /// All ended children are in the index, and those that were dropped are nowhere.
    fileprivate mutating func forgetEndedChildren() {
        openBlocks = TaskMap()
        endedBlocks = []
        fullBlocks = []
        (openBytes, endedSize) = (0, 0)
        dropped = DroppedTrees()
    }
}
