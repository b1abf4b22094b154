// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

public final class MemoStore: Sendable {
    public struct Configuration: Sendable {
        public var durability: Durability = .synced
        public init() {}
    }

    /// Opens or creates the store in a directory; recovery included. Runs off the cooperative pool.
    public static func open(
        at directory: FilePath, configuration: Configuration = Configuration(),
        fileSystem: any FileSystem
    ) async throws(StoreError) -> MemoStore { fatalError() }

    /// Sets who is told of commits. Call once, before the first append.
    public func setObserver(_ observer: any CommitObserver) { fatalError() }

    /// The number of a name; the same for the life of the store. Durable at return.
    public func label(for name: String) async throws(StoreError) -> Label { fatalError() }

    /// The name of a label.
    public func name(of label: Label) -> String? { fatalError() }

    /// Commits; returns when the durability level is reached.
    @discardableResult
    public func append(
        _ transaction: Transaction, durability: Durability? = nil
    ) async throws(StoreError) -> Commit { fatalError() }

    /// Commits without waiting. `completion` is called on the writer thread (after the observer): keep it short.
    public func enqueue(
        _ transaction: Transaction, durability: Durability? = nil,
        completion: (@Sendable (Result<Commit, StoreError>) -> Void)? = nil
    ) { fatalError() }

    /// Everything without an outcome. O(live).
    public func liveTasks() -> LiveTasks { fatalError() }

    public func isLive(_ task: TaskID) -> Bool { fatalError() }

    /// A live task's state as a parent, if it has or had children or was advanced.
    public func status(of parent: TaskID) -> ParentStatus? { fatalError() }

    /// The live tasks below `tasks` (at any depth) that have live children themselves. One pass over the live runs.
    public func liveParents(below tasks: Set<TaskID>) -> Set<TaskID> { fatalError() }

    /// Reads payloads of a run, for each set bit of `indexes`, in order. Blocking, usually served from memory.
    /// `body` gets the index in the run and the payload.
    public func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void
    ) throws(StoreError) { fatalError() }

    /// The bytes of the last advance of a live task. Blocking.
    public func handover(of task: TaskID) throws(StoreError) -> [UInt8] { fatalError() }

    /// A snapshot of a parent's ended children, in sequence order (S11).
    public func children(of parent: TaskID) throws(StoreError) -> ChildSnapshot { fatalError() }

    /// Writes a checkpoint and closes. Idempotent. Commits after it fail with `closed`.
    public func close() async throws(StoreError) { fatalError() }
}

/// The outcomes of one parent's children, exactly those that were committed when it was taken.
public struct ChildSnapshot: Sendable {
    public var parent: TaskID
    public var counts: OutcomeCounts
    /// A new walk from the first child.
    public func makeCursor(columns: ChildColumns = .all) -> ChildCursor { fatalError() }
}

/// A walk over a snapshot, a block at a time, in constant memory. Blocking calls; not Sendable state is yours.
public struct ChildCursor: Sendable {
    /// Decodes the next block into `block`, whose buffers are used again. False at the end.
    /// After an error it throws the same error again.
    public mutating func next(into block: inout ChildBlock) throws(StoreError) -> Bool { fatalError() }
}

