// SPDX-License-Identifier: Apache-2.0
public import Logging
public import QuernStore

/// What a handler's `finalize` knows: its children, each with one outcome, streamed from the store.
///
/// All ways to look at the children show the same ones in the same order, that in which they ended, also when
/// `finalize` is repeated (T4), and take constant memory however many they are. They read with blocking calls:
/// `finalize` runs on threads of the scheduler's own.
///
/// | to | use | cost a memo |
/// |---|---|---|
/// | add up memos, fast | `forEachMemo(of:_:)`, `reduceMemos(of:into:_:)` | about a nanosecond |
/// | loop over memos | ``childMemos(of:)`` | some ten nanoseconds |
/// | see each child's outcome | ``children(of:)`` | more |
/// | see what failed | ``failures()``, ``failureSummary(classes:samplesPerClass:)`` | |
/// | go on where a crash cut it short | ``aggregate(of:into:every:named:_:)`` | as to add up, and some saves |
/// | have it ready before the last child ends | ``value(of:)`` | nothing for what was folded before |
public struct FinalizeContext: Sendable {
    /// The task's id: the same in every attempt.
    public let id: TaskID
    /// The task's parent; ``TaskID/none`` for a root task.
    public let parent: TaskID
    /// Which attempt of `finalize` this is; 1 at first.
    public let attempt: UInt32

    let label: Label
    @usableFromInline let children: ChildSnapshot
    let core: SchedulerCore
    let ticket: UInt64
    let buffer: PullBuffer

    init(
        id: TaskID, parent: TaskID, attempt: UInt32, label: Label, children: ChildSnapshot, ticket: UInt64,
        buffer: PullBuffer, core: SchedulerCore
    ) {
        self.id = id
        self.parent = parent
        self.attempt = attempt
        self.label = label
        self.children = children
        self.core = core
        self.ticket = ticket
        self.buffer = buffer
    }

    /// How many children ended in each way. Does not read the children.
    public var counts: OutcomeCounts { children.counts }

    /// The time now, from the scheduler's clock.
    public var now: Timestamp { core.clock.now }

    /// Whether the task was cancelled, the scheduler is stopping at once, or room is to be made for a better task. To
    /// throw `CancellationError` then has `finalize` called anew later, unless the task was cancelled itself; what is
    /// returned is the outcome all the same.
    public var isCancelled: Bool { Task.isCancelled }

    /// The scheduler's logger, with the task's id.
    public var logger: Logger {
        var logger = core.logger
        logger[metadataKey: "task"] = "\(id)"
        return logger
    }

    /// The memos of the completed children of one type, one at a time.
    ///
    /// ```swift
    /// for try await report in context.childMemos(of: ScanDirectory.self) { totals.add(report) }
    /// ```
    ///
    /// A memo that cannot be decoded is thrown as ``MemoDecodingError``; the next call of the iterator's `next()`
    /// goes on behind it (T13). Use ``children(of:)`` to see such children in a `for` loop.
    ///
    /// The iterator also throws ``SchedulerError`` with `notRegistered` when no handler is registered for the type,
    /// `StoreError` when the children cannot be read, and `CancellationError` when the task is cancelled. Let it out:
    /// where the store's error is `isTransient`, `finalize` is called again a little later, the attempt not counted.
    public func childMemos<T: DurableTask>(of type: T.Type) -> ChildMemos<T> {
        ChildMemos(children: children, labels: try? core.types.labels(of: type))
    }

    /// The outcomes of the children of one type, completed or not, one at a time.
    ///
    /// The iterator throws as that of ``childMemos(of:)``, but for memos that cannot be decoded: those are items.
    public func children<T: DurableTask>(of type: T.Type) -> ChildOutcomes<T> {
        ChildOutcomes(children: children, labels: try? core.types.labels(of: type))
    }

    /// The children of all types that ended in failure, one at a time. Reads nothing when there are none.
    public func failures() -> ChildFailures { ChildFailures(children: children, store: core.store) }

    /// The failures by reason, with samples: what an operator wants to read about 238,000 children.
    ///
    /// - Parameters:
    ///   - classes: how many reasons to name at most, those with the most failures.
    ///   - samplesPerClass: how many details to show of each, the first ones.
    /// - Complexity: reads all children once when there is a failure; memory for at most 1,024 reasons, however many
    ///   there are (failures of later reasons are counted as others).
    public func failureSummary(classes: Int = 10, samplesPerClass: Int = 3) async throws -> FailureSummary {
        var summary = FailureSummary.Builder(classes: classes, samplesPerClass: samplesPerClass)
        for try await failure in failures() { summary.add(failure.failure) }
        return summary.finish(children: counts.total)
    }

    /// All memos of one type at once, for small fan-outs.
    ///
    /// - Throws: ``SchedulerError`` with `tooManyChildren` when more than `limit` children completed, so that the
    ///   memory it takes is bounded; ``MemoDecodingError`` at the first memo that cannot be decoded.
    public func collectMemos<T: DurableTask>(of type: T.Type, limit: Int = 10_000) throws -> [T.Memo] {
        var memos: [T.Memo] = []
        try forEachMemo(of: type) { memo in
            guard memos.count < limit else {
                throw SchedulerError(.tooManyChildren, "more than \(limit) children of type \(T.type) completed")
            }
            memos.append(memo)
        }
        return memos
    }
}
