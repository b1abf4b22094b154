// SPDX-License-Identifier: Apache-2.0
import Synchronization
public import SystemPackage

/// A durable store of task trees: who is whose child, how each child ended, and the memo that it left.
///
/// It knows ids, parents, outcomes and bytes; what they mean is its caller's. Transactions go to a writer thread that
/// gathers them into batches and syncs once a batch; a thread that blocks and comes alone writes by itself. The
/// children of a parent are read back as a sequential scan.
///
/// ```swift
/// let store = try await MemoStore.open(at: "/var/lib/service/memos")
/// let label = try await store.label(for: "resize")
/// var spawn = Transaction()
/// spawn.spawn(under: .none, label: label, at: now) { $0.append(contentsOf: payload) }
/// let root = TaskID(try await store.append(spawn).spawned[0].lowerBound)
/// ```
///
/// All calls may be made from any thread. A store that is released without ``close()`` closes by itself, but a moment
/// later: until then it is ``StoreError/Code/locked``.
///
/// One writer at a time, of all processes, has a store, by a lock on the file `LOCK` in it. Whoever removes or replaces
/// that file lets another writer in. This one notices before it writes to, replaces or removes a file and before it
/// acknowledges a commit, fails with ``StoreError/Code/lockLost``, and takes no more: so the other one has read all
/// that was acknowledged. No two writers ever append to the same file, however slow the first one is to notice: the
/// other one begins a log segment of its own, and puts a copy in the place of an index segment that the first one still
/// has. Only the instant between the look at the lock and the rename or removal of a file is not covered. Where the
/// lock cannot be looked at (a directory that may not be searched), commits fail with
/// ``StoreError/Code/inputOutput`` naming `LOCK` until it can.
public final class MemoStore: Sendable {
    let shared: StoreShared
    let configuration: Configuration

    /// What opening found and did.
    public let recovery: RecoveryReport

    private init(shared: StoreShared, configuration: Configuration, recovery: RecoveryReport) {
        self.shared = shared
        self.configuration = configuration
        self.recovery = recovery
    }

    deinit {
        shared.throttle.stop()
        shared.queue.withLock {
            $0.beginClosing()
            return true
        }
    }

    // MARK: Opening and closing

    /// Opens the store in a directory, or creates both, with the directories above. Recovery runs on a thread that may
    /// block. The path may be a symbolic link to the directory.
    ///
    /// The time it takes depends on the log behind the last checkpoint and on the live tasks, not on history.
    ///
    /// - Throws: ``StoreError/Code/locked`` when another writer has it; ``StoreError/Code/damaged`` naming file, offset
    ///   and what is wrong, with nothing changed; ``StoreError/Code/notAStore`` also when the path is not a directory;
    ///   ``StoreError/Code/notFound`` when it is a link that leads nowhere; ``StoreError/Code/unsupportedVersion``,
    ///   ``StoreError/Code/inputOutput`` or ``StoreError/Code/noThread``; ``StoreError/Code/noSpace`` when one is to be
    ///   created. One that exists opens on a full disk too, and trees can be dropped there and reclaimed as far as
    ///   ``Configuration/reserveBytes`` goes.
    public static func open(
        at directory: FilePath, configuration: Configuration = Configuration(),
        fileSystem: any FileSystem = PosixFileSystem()
    ) async throws(StoreError) -> MemoStore {
        try await ThreadPool.blocking.run { () throws(StoreError) in
            try openBlocking(at: directory, configuration: configuration, fileSystem: fileSystem)
        }
    }

    /// Opens the store as ``open(at:configuration:fileSystem:)`` does, on the caller's thread, which it blocks. Never
    /// call it on the cooperative pool.
    ///
    /// - Throws: as the asynchronous form.
    public static func openBlocking(
        at directory: FilePath, configuration: Configuration = Configuration(),
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws(StoreError) -> MemoStore {
        // Here and not in the background, where it would end the process hours later.
        precondition(configuration.compactionBytesPerSecond ?? 1 > 0, "compactionBytesPerSecond must be positive")
        let lock = try acquireLock(directory, fileSystem)
        do throws(StoreError) {
            let recovered = try Recovery(
                directory: directory, fileSystem: fileSystem, configuration: configuration, lock: lock
            ).run()
            let shared = StoreShared(
                files: recovered.files, state: recovered.state, index: recovered.index,
                bodies: LogBodies(files: recovered.files, capacity: configuration.payloadCacheBytes))
            let writer = StoreWriter(shared: shared, configuration: configuration, lock: lock, recovered: recovered)
            shared.queue.update { queue, _ in
                queue.limit = configuration.queueBytes
                queue.idleWriter = writer
            }
            do throws(StoreError) { try SystemThread.start { StoreWriter.run(shared) } } catch {
                // It holds what holds it.
                _ = shared.queue.update { queue, _ in queue.idleWriter.take() }
                throw error
            }
            return MemoStore(shared: shared, configuration: configuration, recovery: recovered.report)
        } catch {
            lock.release()
            throw error
        }
    }

    /// - Parameter makes: for who makes a store in the directory and writes its manifest last.
    static func acquireLock(
        _ directory: FilePath, _ fileSystem: any FileSystem, makes: Bool = false
    ) throws(StoreError) -> any FileLock {
        let path = directory.appending(StoreFiles.lockName)
        do throws(FileError) { try fileSystem.createDirectory(directory) } catch {
            // Something else is in its place.
            var error = error
            if error.errno == .fileExists { error.errno = .notDirectory }
            throw StoreError("cannot create the store's directory", opening: directory, error)
        }
        let lock: any FileLock
        do throws(FileError) { lock = try fileSystem.lock(path) } catch {
            guard error.isLockTaken else { throw StoreError("cannot lock the store", error) }
            let holder = LockHolder.read(path, fileSystem)
            throw StoreError(.locked, "another writer has the store: \(holder)", file: path)
        }
        // While the lock file has the text that tells.
        try UnfinishedStore.refuse(in: directory, fileSystem)
        do throws(FileError) { try lock.write(makes ? UnfinishedStore.holder : LockHolder.current) } catch {
            // A second writer hears of no holder then; a full disk must be no reason not to open.
            guard error.isNoSpace, !makes else { throw StoreError("cannot lock the store", error) }
        }
        return lock
    }

    /// Sets who is told of each batch. The store does not keep it alive. Set it before the first commit.
    public func setObserver(_ observer: any CommitObserver) {
        shared.observer.withLock { $0.value = observer }
    }

    /// Sets who is told of each batch, unless somebody is told already.
    ///
    /// - Returns: false when somebody is.
    package func setFirstObserver(_ observer: any CommitObserver) -> Bool {
        shared.observer.withLock { known in
            if known.value != nil { return false }
            known.value = observer
            return true
        }
    }

    /// Whether an error is of this store, as far as it tells a file.
    package func concerns(_ error: StoreError) -> Bool { error.file?.starts(with: shared.files.directory) ?? true }

    /// Whether somebody is told of each batch.
    package var isObserved: Bool { shared.currentObserver != nil }

    // MARK: Labels

    /// The number of a name that the store has already.
    public func knownLabel(for name: String) -> Label? {
        shared.committed.withLock { $0.state.labels.label(for: name) }
    }

    /// The name behind a label.
    public func name(of label: Label) -> String? {
        shared.committed.withLock { $0.state.labels.name(of: label) }
    }

    /// All names that have labels, in the order in which they were defined. O(names).
    public var names: [(label: Label, name: String)] {
        let names = shared.committed.withLock { $0.state.labels.names }
        return names.enumerated().map { (Label(rawValue: UInt32(clamping: $0.offset + 1)), $0.element) }
    }
}
