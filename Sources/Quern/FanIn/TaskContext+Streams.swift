// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Says that `execute` goes on another time, as if this attempt had not been: the scheduler stops.
struct ExecutionSuspended: Error {}

/// How far a stream of children has come.
private struct StreamState: Codable, Sendable {
    /// That of the last element that was committed, encoded; nil before the first.
    var cursor: [UInt8]?
    var hasEnded = false
}

extension TaskContext {
    /// Spawns children from a stream, chunk by chunk: each is durable before the next is asked for, and runs while the
    /// stream goes on. However long the stream is, memory holds one chunk of it.
    ///
    /// ```swift
    /// func execute(_ task: Import, in context: TaskContext) async throws -> NoHandover {
    ///     try await context.spawnChildren(from: { last in database.rows(after: last) }, cursor: \.id) { row in
    ///         ImportRow(row)
    ///     }
    ///     return NoHandover()
    /// }
    /// ```
    ///
    /// With each chunk the cursor of its last element is committed. When `execute` is repeated, after an error, a stop
    /// or a crash, the stream is opened behind that element: no task is spawned twice, and none is left out. When the
    /// stream has ended, that is durable too: a repetition does not open it again. What becomes of the children when
    /// `execute` does not come to its end is as with ``spawnNow(_:options:)``.
    ///
    /// A graceful stop of the scheduler ends the stream behind a chunk, and `execute` with it if it lets the error
    /// pass: both go on in the next process. The task's cancellation ends the stream too, and so does the failure of a
    /// child with ``ChildFailurePolicy/failFast``.
    ///
    /// - Parameters:
    ///   - source: opens the stream behind an element; at its beginning for nil.
    ///   - cursor: where an element is in the stream, in a form that outlives the process.
    ///   - name: tells several streams of one `execute` apart.
    ///   - chunk: how many elements are committed at a time, fewer when they are more than a mebibyte.
    ///   - pendingLimit: with more children of the task than this without an outcome, the stream waits until a quarter
    ///     of them has ended: a pending child takes some 16 bytes of memory. Other tasks get the place of this one
    ///     meanwhile; but when they can only run once this one has left a group or domain whose concurrency it takes
    ///     up, they wait for each other forever. Nil for no limit.
    ///   - options: what the tasks have in common.
    ///   - key: the key of each task; without it they have that of the options, if any. The cursor needs no keys.
    ///   - task: the task of an element; nil for none.
    /// - Returns: how many tasks were spawned, in earlier attempts too; those are counted that a key left out.
    /// - Throws: what the stream and the closures throw; as ``spawnNow(_:options:)``; `stateNotStorable`;
    ///   `CancellationError`. What the last chunk had not committed is then dropped.
    @discardableResult
    public func spawnChildren<Cursor: Codable & Sendable, Source: AsyncSequence, Work: DurableTask>(
        from source: (_ last: Cursor?) async throws -> Source, cursor: (Source.Element) -> Cursor,
        named name: String = "", chunk: Int = 1_000, pendingLimit: Int? = nil, options: TaskOptions = TaskOptions(),
        key: ((Work) -> String?)? = nil, task: (Source.Element) throws -> Work?
    ) async throws -> UInt64 {
        var stream = try SpawnStream(self, "stream/" + name, chunk, pendingLimit)
        if stream.hasEnded { return stream.spawned }
        let terms = try core.types.terms(of: Work.self, options)
        var last = try stream.cursor(as: Cursor.self)
        for try await element in try await source(last) {
            if let task = try task(element) {
                try stream.add(task, terms, key: key.map { $0(task) } ?? terms.key)
            }
            last = cursor(element)
            stream.elements += 1
            if stream.isDue { try await stream.commit(last) }
        }
        try await stream.commit(last, hasEnded: true)
        return stream.spawned
    }

    /// Spawns children from a stream of tasks that is the same each time it is iterated, as the form with cursors does:
    /// the cursor is how many elements were committed, and a repetition of `execute` passes over so many.
    ///
    /// - Returns: how many tasks were spawned, in earlier attempts too.
    /// - Throws: as the form with cursors.
    @discardableResult
    public func spawnChildren<Tasks: AsyncSequence>(
        from tasks: Tasks, named name: String = "", chunk: Int = 1_000, pendingLimit: Int? = nil,
        options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws -> UInt64 where Tasks.Element: DurableTask {
        var stream = try SpawnStream(self, "stream/" + name, chunk, pendingLimit)
        if stream.hasEnded { return stream.spawned }
        let terms = try core.types.terms(of: Tasks.Element.self, options)
        let passed = stream.spawned
        var count: UInt64 = 0
        for try await task in tasks {
            count += 1
            if count <= passed { continue }
            try stream.add(task, terms, key: key.map { $0(task) } ?? terms.key)
            stream.elements += 1
            if stream.isDue { try await stream.commit(count) }
        }
        try await stream.commit(count, hasEnded: true)
        return stream.spawned
    }
}

/// A stream of children under way: the chunk that is being filled, and what was committed before.
private struct SpawnStream {
    private static let chunkBytes = 1 << 20

    private let context: TaskContext
    private let name: String
    private let chunk: Int
    private let pendingLimit: UInt64?
    private var state = StreamState()
    private var transaction = Transaction()
    /// The elements of the chunk, those too that have no task.
    var elements = 0
    private var chunkTime: Timestamp
    /// Tasks in all chunks so far.
    private(set) var spawned: UInt64

    /// Blocking: finds where an earlier attempt was.
    init(_ context: TaskContext, _ name: String, _ chunk: Int, _ pendingLimit: Int?) throws {
        try context.checkChildren()
        self.context = context
        self.name = name
        self.chunk = max(1, chunk)
        self.pendingLimit = pendingLimit.map { UInt64(max(0, $0)) }
        chunkTime = context.now
        let kept = try context.states().state(named: name)
        spawned = kept?.position ?? 0
        if let kept { state = try kept.value(as: StreamState.self) }
    }

    var hasEnded: Bool { state.hasEnded }

    func cursor<Cursor: Decodable>(as type: Cursor.Type) throws -> Cursor? {
        try state.cursor.map { try BinaryCodec.decode(type, from: $0) }
    }

    var isDue: Bool { elements >= chunk || transaction.estimatedBytes >= Self.chunkBytes }

    mutating func add<Work: DurableTask>(_ task: Work, _ terms: SpawnTerms, key: String?) throws(SchedulerError) {
        try context.add(task, under: context.id, terms, key: key, at: chunkTime, to: &transaction)
    }

    /// Commits the chunk with the cursor of its last element, and begins the next.
    mutating func commit(_ cursor: (some Encodable & Sendable)?, hasEnded: Bool = false) async throws {
        if !hasEnded { try await checkGoesOn() }
        state = StreamState(cursor: try cursor.map { try KeptState($0).bytes }, hasEnded: hasEnded)
        let tasks = UInt64(transaction.spawnCount)
        _ = try await context.save(
            try KeptState(state, position: spawned + tasks), named: name, with: transaction)
        spawned += tasks
        transaction = Transaction()
        elements = 0
        if !hasEnded, let pendingLimit, liveChildren > pendingLimit {
            await context.core.waitForRoom(under: context, below: pendingLimit - pendingLimit / 4)
            try await checkGoesOn()
        }
        chunkTime = context.now
    }

    private var liveChildren: UInt64 { context.core.store.status(of: context.id)?.liveChildren ?? 0 }

    /// Whether there is a reason to spawn more.
    private func checkGoesOn() async throws {
        try Task.checkCancellation()
        let core = context.core
        if core.read({ $0.phase != .running }) { throw ExecutionSuspended() }
        guard let status = core.store.status(of: context.id), status.counts.failures > 0,
            let policy = core.types.runner(of: context.label)?.facts.policy,
            policy.isFailed(status.counts, liveChildren: status.liveChildren)
        else { return }
        let failure = try await ThreadPool.blocking.run { [context] () throws(StoreError) in
            try core.failureOfChildren(of: status.id, context.label, first: status.firstFailure)
        }
        throw PermanentError(reason: failure.reason, detail: failure.detail)
    }
}
