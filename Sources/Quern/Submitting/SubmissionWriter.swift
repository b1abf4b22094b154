// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Root tasks that are submitted together, encoded one by one: what is more than belongs in memory goes to the log, and
/// becomes visible with the commit (T6).
struct SubmissionWriter<Work: DurableTask> {
    /// What waits in memory at most, in bytes, but for the last task.
    private static var stagingBytes: Int { 4 << 20 }

    let terms: SpawnTerms
    private let core: SchedulerCore
    private let submission: TaskSubmission
    private let middleware: MiddlewareChain
    /// Whether the caller wants to know what became of each task.
    private let tellsEach: Bool
    /// The same for all, so that they share runs.
    private let time: Timestamp
    private var transaction = Transaction()
    private var stage: SpawnStage?
    /// Where the staged tasks are in their stage, in the order of coming, if each is to be told.
    private var places: [Range<UInt64>] = []

    init(
        _ core: SchedulerCore, _ submission: TaskSubmission, _ middleware: MiddlewareChain, tellsEach: Bool
    ) throws(SchedulerError) {
        self.core = core
        self.submission = submission
        self.middleware = middleware
        self.tellsEach = tellsEach
        var terms = try core.types.terms(of: Work.self, submission.options)
        if !terms.dependencies.isEmpty { try core.checkDependencies(of: terms, under: .none) }
        if let tracer = core.tracer { terms = try core.traced(terms, tracer) }
        self.terms = terms
        time = core.clock.now
    }

    /// Tasks in memory.
    var count: Int { transaction.spawnCount }

    /// Bytes in memory, roughly.
    var bytes: Int { transaction.estimatedBytes }

    /// Whether it is time to ``relieve()``.
    var isFull: Bool { bytes >= Self.stagingBytes }

    mutating func add(_ task: Work, key: String?) throws(SchedulerError) {
        try middleware.inspect(task, in: submission)
        let key = key.map { terms.storeKey($0, under: .none, core.keySecret) }
        try transaction.spawn(task, under: .none, terms, key: key, at: time)
    }

    /// Moves what is in memory to the log, and waits for it there.
    mutating func relieve() async throws(SchedulerError) {
        if Task.isCancelled {
            throw SchedulerError(.cancelled, "the caller was cancelled before the tasks were committed")
        }
        let stage = stage ?? core.store.makeStage()
        self.stage = stage
        var part = Transaction()
        swap(&part, &transaction)
        do {
            let places = try await stage.append(spawns: part)
            if tellsEach { self.places += places }
        } catch { throw SchedulerError(error) }
    }

    /// Commits all or nothing, and has `use` make of it what the caller gets: on the store's own thread, before any of
    /// the tasks can end.
    mutating func commit<Value: Sendable>(
        _ use: @escaping @Sendable (CommittedSubmission) -> Value
    ) async throws(SchedulerError) -> Value {
        if stage != nil, !transaction.isEmpty { try await relieve() }
        var filled = Transaction()
        swap(&filled, &transaction)
        if let stage { filled.commit(stage, tellingEach: tellsEach) }
        let (ready, places, rejects) = (filled, stage == nil ? nil : places, terms.onDuplicate == .reject)
        let result: Result<Value, SchedulerError> = await withCheckedContinuation { continuation in
            core.store.enqueue(ready) { result in
                let value = result.map { commit in
                    use(
                        CommittedSubmission(
                            commit: commit, count: ready.spawnCount, places: places, rejects: rejects))
                }
                continuation.resume(returning: value.mapError(SchedulerError.init))
            }
        }
        return try result.get()
    }
}

extension SchedulerCore {
    /// Has root tasks written, within the middleware of their type, and commits them all or none.
    ///
    /// - Parameter use: as that of ``SubmissionWriter/commit(_:)``.
    func submit<Work: DurableTask, Value: Sendable>(
        _ options: TaskOptions, tellsEach: Bool,
        _ write: @escaping (inout SubmissionWriter<Work>) async throws(SchedulerError) -> Void,
        _ use: @escaping @Sendable (CommittedSubmission) -> Value
    ) async throws(SchedulerError) -> Value {
        let middleware = try types.middleware(around: Work.self)
        var value: Value?
        try await middleware.submit(TaskSubmission(type: Work.type, options: options)) {
            [self] submission throws(SchedulerError) in
            var writer = try SubmissionWriter<Work>(self, submission, middleware, tellsEach: tellsEach)
            try await write(&writer)
            value = try await writer.commit(use)
        }
        guard let value else { preconditionFailure("middleware that has not passed a submission on has thrown") }
        return value
    }

    /// Submits a sequence of root tasks.
    ///
    /// - Returns: nil when it has none.
    func submit<Tasks: Sequence, Value: Sendable>(
        all tasks: Tasks, _ options: TaskOptions, _ key: ((Tasks.Element) -> String?)?, tellsEach: Bool,
        _ use: @escaping @Sendable (CommittedSubmission) -> Value
    ) async throws(SchedulerError) -> Value? where Tasks.Element: DurableTask {
        _ = try types.labels(of: Tasks.Element.self)
        var iterator = tasks.makeIterator()
        guard let first = iterator.next() else { return nil }
        return try await submit(options, tellsEach: tellsEach) {
            (writer: inout SubmissionWriter<Tasks.Element>) async throws(SchedulerError) in
            var next: Tasks.Element? = first
            while let task = next {
                try writer.add(task, key: key.map { $0(task) } ?? writer.terms.key)
                if writer.isFull { try await writer.relieve() }
                next = iterator.next()
            }
        } _: {
            use($0)
        }
    }
}
