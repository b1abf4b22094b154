// SPDX-License-Identifier: Apache-2.0

/// What a batch of transactions changed, told once a batch and in commit order.
///
/// Its size follows runs, parents and root tasks, never children.
public struct CommitChanges: Sendable {
    /// New tasks, in id order.
    public var spawned: [SpawnRun] = []
    /// The attributes of those runs that were spawned with some, by ``SpawnRun/firstID``.
    public var attributes: [TaskID: [UInt8]] = [:]
    /// Of runs that came with a stage, a bit for each task that is none because its key was taken, by
    /// ``SpawnRun/firstID``.
    public var absent: [TaskID: UInt64] = [:]
    /// Every parent of which a child was spawned or ended, or that was advanced or asked to cancel, as it is after the
    /// batch.
    public var touched: [ParentStatus] = []
    /// The live tasks that a request of the batch cancels, with the outcome that each is to have.
    public var cancels: [TaskID: OutcomeKind] = [:]
    /// The live tasks that got another priority.
    public var priorities: [TaskID: UInt8] = [:]
    /// The tasks that ended of those that were to be cancelled or got another priority, in this batch or before.
    public var settled: [TaskID] = []
    /// The tasks of ``MemoStore/watch(_:)`` that ended, and how.
    public var endedWatched: [TaskID: OutcomeKind] = [:]
    /// The root tasks that ended.
    public var endedRoots: [EndedTask] = []
    /// The runs that were spawned with attributes and of which the last task ended, by ``SpawnRun/firstID``.
    public var endedRuns: [TaskID] = []
}

/// A parent's durable state: what "ready for finalize" is derived from (T3, T9).
public struct ParentStatus: Sendable, Equatable {
    /// The parent itself; ``TaskID/none`` for that of the root tasks.
    public var id: TaskID
    /// The phase that ``Transaction/advance(_:to:value:)`` set; 0 at first.
    public var phase: UInt8 = 0
    /// Whether ``Transaction/requestCancel(_:as:)`` named it.
    public var cancelRequested = false
    /// Children without an outcome.
    public var liveChildren: UInt64 = 0
    /// Children with an outcome.
    public var counts = OutcomeCounts()
    /// The first child that ended in failure, or `none`.
    public var firstFailure: TaskID = .none

    init(id: TaskID) { self.id = id }
}

/// A task's outcome with its memo or error bytes.
public struct EndedTask: Sendable, Equatable {
    /// The task itself.
    public var id: TaskID
    /// The label that it was ended with.
    public var label: Label
    /// How it ended.
    public var kind: OutcomeKind
    /// How often it was tried; 0 when it never ran.
    public var attempts: UInt32
    /// When its last attempt began.
    public var startedAt: Timestamp
    /// When it ended.
    public var endedAt: Timestamp
    /// The memo of a completed task, the error of another.
    public var value: [UInt8]
}

/// Is told of each batch after it reached its durability level and before any caller hears of it, one batch after the
/// other: on the store's writer thread, or on that of a blocking caller that wrote its batch by itself. Must return
/// soon and must not call back into the store's blocking functions.
public protocol CommitObserver: AnyObject, Sendable {
    /// A batch was committed.
    func storeDidCommit(_ changes: CommitChanges)
    /// The store will commit nothing any more.
    func storeDidFail(_ error: StoreError)
}

/// The tasks without an outcome, as a store that was just opened knows them.
public struct LiveTasks: Sendable {
    /// Tasks that were spawned together, of which some are live.
    public struct Run: Sendable {
        /// All of them, those that have ended too.
        public var run: SpawnRun
        /// A bit for each task of the run that is live.
        public var live: UInt64
        /// A bit for each of them that the batch under way ends. Nobody outside is told before it is committed.
        var ending: UInt64 = 0

        init(run: SpawnRun, live: UInt64) {
            self.run = run
            self.live = live
        }
    }

    /// What is known of a live task beyond its run.
    public struct Detail: Sendable, Equatable {
        /// The phase that ``Transaction/advance(_:to:value:)`` set; 0 at first.
        public var phase: UInt8 = 0
        /// Attempts that ``Transaction/noteAttempt(_:attempts:notBefore:error:)`` noted in this phase.
        public var attempts: UInt32 = 0
        /// When the next attempt may begin.
        public var notBefore = Timestamp(milliseconds: .min)
        /// The outcome that the first ``Transaction/requestCancel(_:as:)`` of it named.
        public var cancel: OutcomeKind?
        /// Whether there was one.
        public var cancelRequested: Bool { cancel != nil }
        /// The priority that ``Transaction/setPriority(_:_:)`` gave it in the place of its run's.
        public var priority: UInt8?
        /// How often the process died while the task ran, as ``Transaction/noteCrash(_:count:)`` noted.
        public var crashes: UInt8 = 0

        /// Nothing to tell.
        public init() {}
    }

    /// In id order.
    public var runs: [Run] = []
    /// The attributes of those runs that were spawned with some, by ``SpawnRun/firstID``.
    public var attributes: [TaskID: [UInt8]] = [:]
    /// Only for tasks with something to tell.
    public var details: [TaskID: Detail] = [:]
    /// The live tasks that have or had children, or were advanced.
    public var parents: [ParentStatus] = []
    /// The tasks that the last note of ``Transaction/noteInFlight(_:)`` named and that have no outcome.
    public var inFlight: [TaskID] = []
}
