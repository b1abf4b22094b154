// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// What a store's files hold, read without its lock and without the path by which a store is opened: whatever is
/// damaged is told in ``findings``, and the rest is here.
///
/// Files are read with `pread`, so that damage and a file that is cut short meanwhile are an error of that place alone.
/// Memory: what is live, the children in the log behind the checkpoint in compressed blocks, and no other child.
package struct OfflineStore: Sendable {
    package let raw: RawStore
    /// What is wrong, in the order in which it was met.
    package internal(set) var findings: [StoreFinding] = []
    /// Nil when it is missing or damaged.
    var manifest: Manifest?
    /// The checkpoint that the rest begins with; nil when there is none that could be read.
    var checkpointFile: RawFile?
    /// What it says of the files; nil when it does not say where the log goes on.
    var base: Base?
    var state = StoreState()
    /// The index segments that count.
    var segments: [IndexDirectory] = []
    /// Blocks that are in the log behind the checkpoint and in no segment, by parent, in sequence order.
    var tail: [TaskID: [OfflineBlock]] = [:]
    /// Whether ended children may be missing of which no directory tells.
    var mayMissChildren = false
    /// What damage took of the checkpoint; nil when it is whole.
    var checkpointLoss: CheckpointLoss?
    /// What is known to be missing in the log behind the checkpoint.
    var logGaps: [LogGap] = []
    /// Whether commits may be missing at the end of the log, so that ids may be in use of which nothing is known.
    var mayMissIDs = false
    /// Where the checkpoint stands in the log; nil when all of the log that is there was applied.
    var checkpointPosition: LogPosition? { base?.position }
    /// Where the last whole batch of the log ends.
    var logEnd = LogPosition(segment: 0, offset: 0, checksum: 0)

    /// The position in the log up to which a checkpoint speaks, and the index segments that it names.
    struct Base: Sendable {
        var position: LogPosition
        var sealed: [Checkpoint.Sealed]
        var open: Checkpoint.Open?
        var nextIndexNumber: UInt32
    }

    /// What may be missing in a checkpoint that is damaged.
    struct CheckpointLoss: Sendable {
        /// Ids of live tasks of which it does not tell any more.
        var ids: [Range<UInt64>] = []
        /// What is left of one that does not tell where the log goes on, so that the log was applied without it.
        var remains: StoreState?

        /// Whether it told of tasks that are not told of any more.
        var isOfTasks: Bool { !ids.isEmpty || remains != nil }
    }

    init(_ raw: RawStore) { self.raw = raw }

    var identity: StoreIdentity { raw.identity }

    /// Reads a store, also while a writer is at work on it. Blocking. O(live tasks and log behind the checkpoint).
    ///
    /// - Throws: as ``RawStore/init(at:fileSystem:)``: damage is no error but a finding.
    package static func read(
        at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem()
    ) throws(StoreError) -> OfflineStore {
        var last: (findings: [StoreFinding], generation: UInt64?)?
        var attempts = ReadAttempts()
        for _ in 1..<ReadAttempts.limit {
            let store = OfflineStoreReader.read(try RawStore(at: directory, fileSystem: fileSystem))
            let found = (store.findings.filter { $0.severity >= .spared }, store.manifest?.checkpointNumber)
            let newest = try? StoreLoader(directory: directory, fileSystem: fileSystem, access: .readOnly)
                .readManifest().checkpointNumber
            // What a writer changes under way looks like damage once, and not twice under one checkpoint. All files
            // that the store names are open: they stay as they are.
            if let generation = found.1 {
                attempts.begin(generation: generation)
                let isBelieved = attempts.believes(generation: generation, newest: newest ?? generation)
                if found.0.isEmpty, isBelieved { return store }
            }
            if let last, last.generation == found.1, last.findings == found.0 { return store }
            last = found
        }
        throw StoreError(.storeChanged, "the files changed at each attempt to read them", file: directory)
    }

    // MARK: Children

    /// A walk over the ended children of a parent; of ``TaskID/none`` the root tasks.
    package func children(of parent: TaskID, columns: ChildColumns = .all) -> OfflineChildren {
        OfflineChildren(
            of: parent, blocks(of: parent), hiding: parent == .none ? state.dropped.hiddenRows : [], columns: columns,
            seed: identity.seed)
    }

    /// Where the ended children of a parent are, in sequence order. O(log directory) reads a segment.
    func blocks(of parent: TaskID) -> [OfflineBlock] {
        var blocks: [OfflineBlock] = []
        for segment in segments {
            // A directory that cannot be read any more was read when it was verified.
            for entry in (try? segment.entries(of: parent)) ?? [] {
                blocks.append(OfflineBlock(entry, in: segment.file))
            }
        }
        blocks += tail[parent] ?? []
        blocks += state.blocks(of: parent).map { OfflineBlock(BlockExtent($0)) }
        if let root = blocks.first?.entry.root, state.dropped.contains(TaskID(root)) { return [] }
        return blocks.sorted { $0.entry.firstSequence < $1.entry.firstSequence }
    }

    /// Whether a task has or had children.
    package func isParent(_ task: TaskID) -> Bool { state.parents.contains(task) || !blocks(of: task).isEmpty }

    // MARK: Live tasks

    /// Everything without an outcome. O(live).
    package func liveTasks() -> LiveTasks {
        Committed(state: state, index: MemoIndex()).liveTasks()
    }

    package func isLive(_ task: TaskID) -> Bool { state.live.contains(task) }

    /// The run of a live task.
    package func run(of task: TaskID) -> SpawnRun? { state.live.run(of: task)?.run }

    package func status(of parent: TaskID) -> ParentStatus? { state.parents.status(of: parent) }

    package func attributes(of run: SpawnRun) -> [UInt8] { state.attributes[run.firstID] }

    // MARK: Names and values

    package func name(of label: Label) -> String? { state.labels.name(of: label) }

    /// In the order of their labels.
    package var names: [String] { state.labels.names }

    package var values: [(name: String, value: [UInt8])] { Array(state.values.values(withPrefix: "")) }
}
