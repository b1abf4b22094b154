// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension TaskScheduler {
    /// Submits a root task.
    ///
    /// Works before `run()` is called, too: the task waits.
    ///
    /// - Parameter options: what is to hold for this task. When it has a key, ``TaskHandle/submission`` says what
    ///   became of it, and the handle is that of the task that has the key then.
    /// - Returns: when the task is durable, as the store's ``Durability`` says; it then survives the process.
    /// - Throws: ``SchedulerError`` with `notRegistered`, `payloadNotEncodable`, `payloadTooLarge`, `invalidOptions`,
    ///   `refused` or `stopped`, or with the store's error as its cause; `duplicateKey` when a live task has the key
    ///   and that is to be rejected. When the cause is `indeterminate`, the task may be there or not.
    public func submit<Work: DurableTask>(
        _ task: Work, options: TaskOptions = TaskOptions()
    ) async throws(SchedulerError) -> TaskHandle<Work> {
        let handle = try await submit(contentsOf: CollectionOfOne(task), options: options)[0]
        if handle.submission == .rejected { throw .duplicateKey(options.key ?? "", of: handle.id) }
        return handle
    }

    /// Submits root tasks that have options in common, all or none.
    ///
    /// The sequence is walked once. A few MiB of encoded tasks are in memory at a time; the others are in the log by
    /// then, where nobody sees them before all are committed. An error, a cancellation or a crash before that leaves
    /// nothing.
    ///
    /// - Parameter key: the key of each task; without it they have that of the options, if any. Of several tasks with
    ///   one key the last one counts, and the others' handles are that one's.
    /// - Returns: a handle for each task, in order; ``TaskHandle/submission`` says what became of it. When the tasks
    ///   are durable, as the store's ``Durability`` says.
    /// - Throws: as ``submit(_:options:)``, but for `duplicateKey`: tasks that are rejected say so, and are no reason
    ///   not to take the others. `cancelled` when the caller's Swift task is cancelled before the commit.
    /// - Complexity: O(payloads). Memory is O(tasks) for the handles, some 300 bytes each: where none are needed,
    ///   ``submit(all:options:key:)`` takes hardly any.
    public func submit<Tasks: Sequence>(
        contentsOf tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws(SchedulerError) -> [TaskHandle<Tasks.Element>] where Tasks.Element: DurableTask {
        try await core.submit(all: tasks, options, key, tellsEach: true) { [core] in core.handles(of: $0) } ?? []
    }

    /// Submits root tasks that have options in common, all or none, and tells what became of them in numbers.
    ///
    /// As ``submit(contentsOf:options:key:)``, in constant memory beside what is kept of pending tasks: four bytes or
    /// so for each without a key. With keys it is some 250 bytes each until they are committed, and 90 while their
    /// tasks are live.
    ///
    /// ```swift
    /// let batch = try await scheduler.submit(all: files.lazy.map(Import.init))
    /// let first = scheduler.handle(for: TaskID(batch.ids[0].lowerBound), of: Import.self)
    /// ```
    ///
    /// - Throws: as ``submit(contentsOf:options:key:)``.
    @discardableResult
    public func submit<Tasks: Sequence>(
        all tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil
    ) async throws(SchedulerError) -> BatchSubmission where Tasks.Element: DurableTask {
        let none = BatchSubmission(counts: SubmissionCounts(), ids: [])
        return try await core.submit(all: tasks, options, key, tellsEach: false) { $0.summary } ?? none
    }

    /// Submits root tasks as they come, chunk by chunk: each is durable before more than the next is asked for, so that
    /// the source is read no faster than tasks are stored.
    ///
    /// A chunk is committed whole or not at all, in the order of the stream. Each passes through the middleware by
    /// itself.
    ///
    /// **What is durable**: when the stream ends, throws, or the caller's Swift task is cancelled, what it gave until
    /// then is committed first; then this returns, or throws the stream's error or `CancellationError`. When a task is
    /// refused or cannot be encoded, the chunks before its own are durable, and nothing of its own. After a crash, so
    /// are those before the one under way, and that one whole or not at all. To be able to send a stream once more,
    /// give its tasks keys: those that are live then are left out.
    ///
    /// - Parameters:
    ///   - options: what the tasks have in common.
    ///   - key: the key of each task; without it they have that of the options, if any. Of several tasks of a chunk
    ///     with one key the last one counts; later chunks find the key taken, as ``TaskOptions/onDuplicate`` says.
    ///   - chunk: how many tasks are committed at a time, fewer when they are more than a mebibyte. A chunk waits for
    ///     its tasks: say 1 for a source from which they come seldom.
    ///   - onChunk: gets the handles of each chunk when it is durable, before more tasks are asked for. What it throws
    ///     ends the stream.
    /// - Returns: what became of all, in numbers.
    /// - Throws: what the stream throws; as ``submit(contentsOf:options:key:)``; `CancellationError`.
    /// - Complexity: O(payloads). Memory holds one chunk.
    @discardableResult
    public func submit<Tasks: AsyncSequence>(
        stream tasks: Tasks, options: TaskOptions = TaskOptions(), key: ((Tasks.Element) -> String?)? = nil,
        chunk: Int = 1_000, onChunk: (([TaskHandle<Tasks.Element>]) async throws -> Void)? = nil
    ) async throws -> SubmissionCounts where Tasks.Element: DurableTask {
        var source = SubmissionSource(tasks)
        var counts = SubmissionCounts()
        while let first = await source.next() {
            let (summary, handles) = try await core.submit(options, tellsEach: onChunk != nil) {
                (writer: inout SubmissionWriter<Tasks.Element>) async throws(SchedulerError) in
                var next: Tasks.Element? = first
                while let task = next {
                    try writer.add(task, key: key.map { $0(task) } ?? writer.terms.key)
                    next = writer.count < chunk && writer.bytes < Self.chunkBytes ? await source.next() : nil
                }
            } _: { [core, wantsHandles = onChunk != nil] in
                ($0.summary, wantsHandles ? core.handles(of: $0) : [TaskHandle<Tasks.Element>]())
            }
            counts += summary.counts
            try await onChunk?(handles)
        }
        try source.checkEnd()
        return counts
    }

    private static var chunkBytes: Int { 1 << 20 }
}

/// A stream of tasks, whose end and whose error come behind the chunk that they cut short.
private struct SubmissionSource<Tasks: AsyncSequence> {
    private var iterator: Tasks.AsyncIterator
    private var failure: (any Error)?
    private var hasEnded = false

    init(_ tasks: Tasks) { iterator = tasks.makeAsyncIterator() }

    mutating func next() async -> Tasks.Element? {
        if hasEnded { return nil }
        do {
            try Task.checkCancellation()
            if let task = try await iterator.next() { return task }
        } catch { failure = error }
        hasEnded = true
        return nil
    }

    /// Throws what ended the stream. One that was cancelled may have ended as if there were no more.
    func checkEnd() throws {
        if let failure { throw failure }
        try Task.checkCancellation()
    }
}
