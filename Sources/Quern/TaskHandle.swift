// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A root task that was submitted: to wait for its outcome, as often and by as many callers as wanted.
public struct TaskHandle<Work: DurableTask>: Sendable {
    /// The task's id, by which ``TaskScheduler/handle(for:of:)`` finds it again.
    public let id: TaskID
    /// What became of the submission; nil when the handle is of a task that was submitted before.
    public let submission: Submission?
    let core: SchedulerCore
    let watch: RootWatch

    init(id: TaskID, submission: Submission? = nil, core: SchedulerCore, watch: RootWatch) {
        self.id = id
        self.submission = submission
        self.core = core
        self.watch = watch
    }

    /// The task as it was submitted. Known while it has no outcome.
    ///
    /// - Throws: ``SchedulerError`` with `unknownTask` when it has ended, never was or is of another type, or with the
    ///   store's error as its cause; what the task's decoding throws.
    /// - Complexity: O(log live tasks), and one read of the log, on a thread of the scheduler's own.
    public func task() async throws -> Work {
        guard let run = core.store.run(of: id) else {
            throw SchedulerError(.unknownTask, "task \(id) has ended or never was")
        }
        try checkType(run.label)
        let version = TypeLabel(name: core.store.name(of: run.label) ?? "").version
        return try await Task.detached(executorPreference: core.threads) { [core, id] in
            var result: Result<Work, any Error>?
            do throws(StoreError) {
                try core.store.withPayloads(of: run, indexes: 1 << (id.rawValue - run.firstID.rawValue)) { _, bytes in
                    do { result = .success(try Work.decodePayload(bytes, version: version)) } catch {
                        result = .failure(error)
                    }
                }
            } catch { throw SchedulerError(error) }
            guard let result else { throw SchedulerError(.unknownTask, "task \(id) has no payload") }
            return try result.get()
        }.value
    }

    /// Waits for the task to complete, and returns its memo.
    ///
    /// - Throws: ``TaskFailedError`` when it ended otherwise; ``MemoDecodingError`` when the memo cannot be read;
    ///   ``SchedulerError`` with `stopped` when the scheduler stops first, with the store's error as its cause when
    ///   that fails (where it `isTransient` the handle can be asked again), and `unknownTask` when there is no such
    ///   root task of this type. `CancellationError` when the caller's Swift task is cancelled; the task itself goes
    ///   on.
    public func memo() async throws -> Work.Memo {
        let ended = try await ended()
        guard ended.kind == .completed else {
            let failure = FailureInfo(decoding: ended.value)
            throw TaskFailedError(id: id, type: Work.type, kind: ended.kind, failure: failure)
        }
        do { return try Work.Memo.decodeMemo(ended.value.span.bytes) } catch {
            throw MemoDecodingError(child: id, type: Work.type, cause: error)
        }
    }

    /// Waits for the task to end, in whichever way.
    ///
    /// - Throws: as ``memo()``, but for ``TaskFailedError`` and ``MemoDecodingError``: those are in the result.
    public func outcome() async throws -> ChildOutcome<Work> {
        let ended = try await ended()
        let result: Result<Work.Memo, ChildError>
        if ended.kind == .completed {
            do { result = .success(try Work.Memo.decodeMemo(ended.value.span.bytes)) } catch {
                result = .failure(.undecodable(MemoDecodingError(child: id, type: Work.type, cause: error)))
            }
        } else {
            result = .failure(.ended(ended.kind, FailureInfo(decoding: ended.value)))
        }
        return ChildOutcome(
            id: id, kind: ended.kind, attempts: ended.attempts, startedAt: ended.startedAt, endedAt: ended.endedAt,
            result: result)
    }

    private func ended() async throws -> EndedTask {
        if !watch.isAnswered { try await core.lookUp(id, watch) }
        let ended = try await watch.value()
        try checkType(ended.label)
        return ended
    }

    /// Bytes of another type's task would be decoded as they come.
    private func checkType(_ label: Label) throws(SchedulerError) {
        if let own = try? core.types.labels(of: Work.self), own.contains(label) { return }
        let name = core.store.name(of: label)
        if let name, TypeLabel(name: name).type == Work.type { return }
        throw SchedulerError(.unknownTask, "task \(id) is a \(name ?? "task of no name"), not a \(Work.type)")
    }
}

/// A root task that did not complete.
public struct TaskFailedError: Error, Sendable, Equatable {
    public var id: TaskID
    public var type: TaskType
    public var kind: OutcomeKind
    public var failure: FailureInfo
}

extension TaskFailedError: CustomStringConvertible {
    public var description: String {
        "task \(id) (\(type)) ended as \(kind)" + (failure.reason.isEmpty ? "" : ": \(failure)")
    }
}
