// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What a worker gets from the dispatcher to do in one go.
struct Pull: Sendable {
    enum Work: Sendable {
        /// Call `execute` for each task.
        case execute(ReadyRun)
        /// Call `finalize`.
        case finalize(WaitingParent)
        /// End a fail-fast parent, all of whose children have ended.
        case failParent(WaitingParent)
        /// End tasks as cancelled.
        case cancel([ReadyRun])
    }

    var work: Work
    let claims: PullClaims
    /// The outcomes of cancelled tasks that are to be told from others.
    var cancelKinds: [TaskID: OutcomeKind] = [:]
    /// Whether cancelled tasks leave what it takes to run them again.
    var leavesRemains = false
    /// What it counts against, when it came from the queues.
    var charge: Charge?
    /// The level that its tasks had when it was given out.
    var level = 0
    /// Since when its tasks had been ready, when it came from the queues.
    var readySince: Timestamp?
    /// How long that was.
    var queued: Duration?
    /// Whether the note on disk must name its tasks before they run (T14).
    var isNoted = false
}

/// What came of a pull. Tasks that it does not mention have an outcome.
struct PullReport: Sendable, Equatable {
    struct Retry: Sendable, Equatable {
        var index: Int
        /// How often the task was tried.
        var attempts: UInt32
        var notBefore: Timestamp
    }

    /// Tasks that were started and are pending again, as if they had not been.
    var givenBack: UInt64 = 0
    /// Tasks that ran while they were cancelled; they still need their outcome.
    var cancelled: UInt64 = 0
    var retries: [Retry] = []
    /// How many tasks were tried, and how long it took in all: what later pulls are sized by.
    var tried = 0
    var elapsed: Duration = .zero
    /// Orchestrator tasks whose `execute` returned; they wait for their children from now on.
    var advanced: UInt64 = 0
    /// How many tasks got their outcome.
    var ended = OutcomeCounts()
    /// What the pull's transaction holds; 0 when there is none.
    var transactionBytes = 0
    /// What handlers said that they read and wrote.
    var io = RecordedIO()
    /// What is to be told once it is durable; nil when nobody listens.
    var events: EventCollector?
}
