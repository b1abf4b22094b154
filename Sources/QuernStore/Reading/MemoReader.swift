// SPDX-License-Identifier: Apache-2.0
import Synchronization
public import SystemPackage

/// A store that is only read, also while a writer, of this process or another, is at work on it (S1).
///
/// ```swift
/// let reader = try await MemoReader.open(at: "/var/lib/service/memos")
/// let children = try reader.children(of: parent)
/// if try await reader.refresh() { ... }          // what was committed since
/// ```
///
/// It takes no lock, and writes, creates, removes and syncs nothing, so that it needs no permission to write, works on
/// a file system that is mounted read-only, and never holds up the writer (F26).
///
/// **What it sees**: the store as it was behind one of its committed batches. Between two refreshes all calls answer
/// from that one moment, and snapshots that were given out stay as they are. It sees what was *written*: also
/// transactions of level ``Durability/buffered``, and others an instant before their sync, which the writer has not
/// acknowledged yet and which a loss of power would undo.
///
/// **What it costs**: memory for the live tasks, and for the children that ended since the last checkpoint: in full
/// blocks they are as small as in an index segment, and the last ones of each live parent are rows of 48 bytes and
/// their memos. Files that the writer removed meanwhile take space on the disk until the reader is refreshed and the
/// snapshots from before are gone.
///
/// All calls may be made from any thread.
public final class MemoReader: Sendable {
    private let loader: StoreLoader
    private let view: Mutex<ReaderView>
    /// Held while the files are read: refreshes come one after the other.
    private let refreshing = Mutex(())

    private init(loader: StoreLoader, view: ReaderView) {
        self.loader = loader
        self.view = Mutex(view)
    }

    // MARK: Opening and going on

    /// Opens the store in a directory to read it, on a thread that may block.
    ///
    /// The time it takes depends on the log behind the last checkpoint and on the live tasks, not on history.
    ///
    /// - Throws: ``StoreError/Code/notFound`` when there is no store; ``StoreError/Code/notAStore`` when the path is no
    ///   directory, or a file in it is another one's; ``StoreError/Code/damaged`` naming file, offset and what is
    ///   wrong; ``StoreError/Code/storeChanged`` when the writer replaced files at every attempt to read them;
    ///   ``StoreError/Code/unsupportedVersion``, ``StoreError/Code/inputOutput`` or ``StoreError/Code/noThread``.
    public static func open(
        at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem()
    ) async throws(StoreError) -> MemoReader {
        try await ThreadPool.blocking.run { () throws(StoreError) in
            try openBlocking(at: directory, fileSystem: fileSystem)
        }
    }

    /// Opens the store as ``open(at:fileSystem:)`` does, on the caller's thread, which it blocks. Never call it on the
    /// cooperative pool.
    ///
    /// - Throws: as the asynchronous form.
    public static func openBlocking(
        at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem()
    ) throws(StoreError) -> MemoReader {
        let loader = StoreLoader(directory: directory, fileSystem: fileSystem, access: .readOnly)
        return MemoReader(loader: loader, view: try read(loader, from: nil))
    }

    /// Goes on to what is committed now, on a thread that may block. Returns whether it shows anything else than
    /// before: false also when the log grew by what nobody sees, such as spawns that are staged. (A slot that the
    /// writer moved within the log counts as another.)
    ///
    /// It shows at least what was committed before the call. It reads the log that is new, or begins at a checkpoint
    /// that is new; then it shows the same as before, and more.
    ///
    /// - Throws: as ``open(at:fileSystem:)``. What was read before stays.
    /// - Complexity: O(new log), and when there is some O(live).
    public func refresh() async throws(StoreError) -> Bool {
        try await ThreadPool.blocking.run { () throws(StoreError) in try self.refreshBlocking() }
    }

    /// Goes on as ``refresh()`` does, on the caller's thread, which it blocks. Never call it on the cooperative pool.
    ///
    /// - Throws: as the asynchronous form.
    public func refreshBlocking() throws(StoreError) -> Bool {
        try refreshing.withLock { (_) throws(StoreError) in
            let old = current
            let new = try Self.read(loader, from: old)
            view.withLock { $0 = new }
            return !new.shows(sameAs: old)
        }
    }

    /// Reads on from a view, or from the checkpoint when there is a new one.
    private static func read(_ loader: StoreLoader, from old: ReaderView?) throws(StoreError) -> ReaderView {
        var attempts = ReadAttempts()
        var view = old
        while true {
            var generation: UInt64?
            do throws(StoreError) {
                let manifest = try self.manifest(loader, of: old?.manifest.identity)
                // A manifest that only names another log segment leads to the same files.
                let checkpoint = manifest.checkpointNumber
                generation = checkpoint
                attempts.begin(generation: checkpoint)
                let goesOn = view?.manifest.checkpointNumber == checkpoint
                var next = if goesOn, let view { view } else { try ReaderView(manifest, loader) }
                try next.follow(loader, manifest)
                let newest = try self.manifest(loader, of: manifest.identity)
                if attempts.believes(generation: checkpoint, newest: newest.checkpointNumber) { return next }
                view = next
            } catch {
                if let final = attempts.failure(error, generation: generation) { throw final }
                // The log may have been cut off in front of a frame that was seen: begin anew.
                view = nil
            }
        }
    }

    private static func manifest(
        _ loader: StoreLoader, of identity: StoreIdentity?
    ) throws(StoreError) -> Manifest {
        let manifest = try loader.readManifest()
        guard identity == nil || manifest.identity == identity else {
            throw StoreError(.notAStore, "another store has taken its place", file: loader.directory)
        }
        return manifest
    }

    // MARK: What the other files read

    /// What the calls answer from.
    var current: ReaderView { view.withLock { $0 } }

    /// Looks into the log or the index. What is missing there was removed because the writer needs it no more.
    private func readingFiles<Value>(
        _ body: (ReaderView) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        do throws(StoreError) { return try body(current) } catch {
            guard error.cause?.errno == .noSuchFileOrDirectory else { throw error }
            throw StoreError(
                .storeChanged, "what was asked for is no longer in the store: refresh the reader", file: error.file,
                cause: error.cause)
        }
    }

    /// What was wrong with the checkpoint that was read last, whose mirror told the same: nothing is missing here, and
    /// a writer makes both anew. Nil for a whole one. O(1).
    public var checkpointDamage: StoreError? { current.checkpointDamage }

    // MARK: Children

    /// A snapshot of a parent's ended children: see ``MemoStore/children(of:)``.
    ///
    /// - Throws: as the writer's form, and ``StoreError/Code/storeChanged`` when a segment is no longer there.
    public func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot {
        try readingFiles { (view) throws(StoreError) in
            try view.committed.childPlaces(of: parent).snapshot(view.manifest.identity)
        }
    }

    /// The children that ended behind a commit position: `children(of: parent).after(sequence)`.
    ///
    /// - Throws: as ``children(of:)`` and ``ChildSnapshot/after(_:)``.
    public func children(of parent: TaskID, after sequence: UInt64) throws(StoreError) -> ChildSnapshot {
        try children(of: parent).after(sequence)
    }

    // MARK: Live tasks

    /// Everything without an outcome. O(live).
    public func liveTasks() -> LiveTasks { current.committed.liveTasks() }

    /// Whether a task has no outcome yet. O(log live).
    public func isLive(_ task: TaskID) -> Bool { current.committed.state.live.contains(task) }

    /// The run of a live task. O(log live).
    public func run(of task: TaskID) -> SpawnRun? { current.committed.state.live.run(of: task)?.run }

    /// What a run was spawned with: see ``MemoStore/attributes(of:)``.
    public func attributes(of run: SpawnRun) -> [UInt8] { current.committed.state.attributes[run.firstID] }

    /// The live task that has a key. O(1).
    public func task(forKey key: TaskKey) -> TaskID? { current.committed.state.keys.task(for: key) }

    /// What this store's keys are made with: see ``MemoStore/keySecret``.
    public var keySecret: TaskKey.Secret { TaskKey.Secret(current.manifest.identity) }

    /// A live task as a parent, when it has or had children or was advanced; also of ``TaskID/none``. O(log live).
    public func status(of parent: TaskID) -> ParentStatus? { current.committed.state.parents.status(of: parent) }

    /// Counts over the whole store. O(1).
    public var totals: (live: Int, endedRoots: UInt64) { current.committed.totals }

    /// Reads the payloads of a run: see ``MemoStore/withPayloads(of:indexes:_:)``.
    ///
    /// - Throws: ``StoreError/Code/storeChanged`` when they are gone because the run's tasks have ended since;
    ///   ``StoreError/Code/damaged`` or ``StoreError/Code/inputOutput``.
    public func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void
    ) throws(StoreError) {
        try readingFiles { (view) throws(StoreError) in
            try view.bodies.withPayloads(of: run, indexes: indexes, body)
        }
    }

    /// What a live task has in a slot: see ``MemoStore/kept(_:slot:)``.
    ///
    /// - Throws: as ``withPayloads(of:indexes:_:)``.
    public func kept(_ task: TaskID, slot: UInt8) throws(StoreError) -> [UInt8]? {
        try readingFiles { (view) throws(StoreError) in
            guard let place = view.committed.state.slots[task, slot] else { return nil }
            return try view.bodies.kept(by: task, slot, at: place)
        }
    }

    /// The bytes of a live task's last advance: what is in its slot 0.
    ///
    /// - Throws: ``StoreError/Code/rejected`` when the task is not live or has none, else as
    ///   ``withPayloads(of:indexes:_:)``.
    public func handover(of task: TaskID) throws(StoreError) -> [UInt8] {
        guard let value = try kept(task, slot: SlotTable.handover) else {
            throw StoreError(.rejected, "task \(task) has no hand-over")
        }
        return value
    }

    // MARK: Named values

    /// A named value: see ``MemoStore/value(for:)``.
    public func value(for name: String) -> [UInt8]? { current.committed.state.values[name] }

    /// Named values in order: see ``MemoStore/values(withPrefix:)``.
    public func values(withPrefix prefix: String) -> [(name: String, value: [UInt8])] {
        current.committed.state.values.values(withPrefix: prefix)
    }

    // MARK: Labels

    /// The number of a name.
    public func knownLabel(for name: String) -> Label? {
        current.committed.state.labels.label(for: name)
    }

    /// The name behind a label.
    public func name(of label: Label) -> String? { current.committed.state.labels.name(of: label) }
}
