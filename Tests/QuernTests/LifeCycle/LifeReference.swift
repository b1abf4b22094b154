// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What is known of one task.
struct LifeRecord: Sendable {
    var parent = TaskID.none
    /// Its script; nil while nobody has told.
    var number: Int?
    var kind: Script.Kind?
    var submittedAt: Timestamp?
    /// Whether the store has shown it: it must never vanish from then on.
    var isSeen = false
    var redrives: TaskID?
    var dependencies: [TaskID] = []
    /// What it has now, when somebody has changed it.
    var priority: UInt8?

    /// Whether its `execute` is known to have committed.
    var isAdvanced = false
    var outcome: LifeOutcome?
    /// Those of its children, as the store has shown them.
    var children: [LifeOutcome] = []

    /// Attempts of this phase that failed and are repeated, and how many of them are known to be durable.
    var failures: UInt32 = 0
    var durableFailures: UInt32 = 0
    /// Those of `execute`, when that has returned.
    var executeFailures: UInt32 = 0
    var notBefore = Timestamp(milliseconds: .min)
    /// Whether a call of it is under way.
    var isRunning = false
    /// Whether it was started by this process.
    var isStarted = false
    var firstStart: Timestamp?
    /// Whether `execute`, and `finalize`, have returned in this process.
    var hasReturned = false
    var hasFinalized = false
    /// How a handler's call ended it, in this process or one before.
    var failure: (kind: OutcomeKind, attempts: UInt32)?
    /// What `finalize` saw.
    var finalizeSaw: [TaskID]?
    /// What it was not let spawn.
    var skipped: Set<Int> = []

    /// Whether somebody asked for its cancel.
    var isAsked = false
    /// Whether it was live when a cancel of it, or of one above, was durable.
    var mustCancel = false
    /// The outcome that was asked for first, as the store said.
    var cancelKind: OutcomeKind?
    var isHooked = false
    /// How often the process died when it may have been running.
    var crashes = 0
    var wasRunAgain = false
    /// Whether this process has ended it.
    var endedHere = false
    /// Whether its tree was dropped.
    var isDropped = false
    /// Whether it may have moved on without anybody having seen it.
    var isBlurred = false
}

/// Dictionaries that say what must be so, fed by what the model does, by what handlers say and by what the store shows.
struct LifeReference: Sendable {
    struct Instance: Hashable, Sendable {
        var parent: TaskID
        var number: Int
    }

    var scripts: [Int: Script] = [:]
    var labels: [Script.Kind: Label] = [:]
    var kinds: [Label: Script.Kind] = [:]
    var tasks: [TaskID: LifeRecord] = [:]
    var live: Set<TaskID> = []
    var instances: [Instance: [TaskID]] = [:]
    /// Those of the root tasks.
    var roots: [LifeOutcome] = []
    /// Root tasks that were handed out, and scripts that may have been taken or not when the process died.
    var knownRoots: Set<TaskID> = []
    var uncertainRoots: [Int: Int] = [:]

    var pauses: [LimitScope: Timestamp] = [:]
    /// Scopes whose pauses may have changed or not when the process died.
    var uncertainPauses: Set<LimitScope> = []
    /// Ended root tasks that may have been run again or not then.
    var uncertainAgain: Set<TaskID> = []
    var concurrency: [LimitScope: Int] = [:]
    var rates: [LimitScope: TokenBucket] = [:]
    /// Whether the last process died, or ended while results waited for space.
    var hasCrashed = false
    /// Whether results wait for space.
    var isStalled = false
    /// Whether some did in this process: a cancel may have overtaken them, and what could not spawn is begun again.
    var hasStalled = false
    /// Whether trees may have been dropped when it did.
    var mayHaveDropped = false
    var knowsRare = true
    /// Whether the disk failed for good, so that a payload may be lost to the end of its task.
    var mayHaveLost = false
    var crashLimit = 0
    /// The latest time that there was before the clock was set back.
    var latest = Timestamp(milliseconds: .min)
    var allPlaces = 1
    /// Whether one thing happens after the other, so that each step has one result.
    var isExact = true
    /// Whether a task that is submitted may interrupt one that runs, which may have failed just now.
    var mayPreempt = false
    /// Whether it is known of each call whether it counts.
    var countsAttempts: Bool { isExact && !mayPreempt }
    /// Tasks with an outcome when the process began.
    var endedBefore: UInt64 = 0
    var retries: UInt64 = 0

    private(set) var violations: [String] = []

    mutating func report(_ violation: String) {
        if violations.count < 20 { violations.append(violation) }
    }

    // MARK: - Names

    mutating func name(_ id: TaskID, _ number: Int) {
        guard tasks[id]?.number != number else { return }
        if let other = tasks[id]?.number { report("task \(id) follows script \(other), then \(number)") }
        tasks[id, default: LifeRecord()].number = number
    }

    func script(of id: TaskID) -> Script? { tasks[id]?.number.flatMap { scripts[$0] } }

    func describe(_ id: TaskID) -> String {
        guard let record = tasks[id] else { return "task \(id)" }
        let number = record.number.map { "script \($0)" } ?? "no script"
        return "task \(id) (\(number), \(record.kind?.rawValue ?? "?"), below \(record.parent))"
    }

    /// A task and all above it.
    func lineage(_ id: TaskID) -> [TaskID] {
        var lineage: [TaskID] = []
        var next = id
        while next != .none {
            lineage.append(next)
            next = tasks[next]?.parent ?? .none
        }
        return lineage
    }

    // MARK: - What decides ends

    /// Whether what is below a task is to be cancelled because of how it fares itself.
    func isFailing(_ id: TaskID) -> Bool {
        guard id != .none, let record = tasks[id], let kind = record.kind else { return false }
        if record.failure != nil, !record.isAdvanced { return true }
        return kind.policy.isFailed(OutcomeCounts(of: record.children), liveChildren: 0)
    }

    /// Whether a task is to be cancelled, by itself or with what is above.
    func isDoomed(_ id: TaskID) -> Bool {
        lineage(id).contains { task in
            guard let record = tasks[task] else { return false }
            return record.isAsked || record.cancelKind != nil
                || isFailing(record.parent)
        }
    }

    /// When its time is over, at the earliest.
    func deadline(of id: TaskID) -> Timestamp? {
        guard let record = tasks[id], let limit = script(of: id)?.options.timeToLive else { return nil }
        let start = limit.basis == .submission ? record.submittedAt : record.firstStart
        return start.map { $0.advanced(by: limit.duration) }
    }

    func isHeldBack(_ script: Script, at now: Timestamp) -> LimitScope? {
        script.scopes().first { (pauses[$0] ?? Timestamp(milliseconds: .min)) > now }
    }

    /// Tasks of a scope with a call under way.
    func running(in scope: LimitScope) -> Int {
        live.count { id in
            guard tasks[id]?.isRunning == true, let script = script(of: id) else { return false }
            // Who waits for room below it leaves its place to others.
            if scope == .everything, script.spawns.contains(where: { scripts[$0]?.way == .stream }) { return false }
            return script.scopes().contains(scope)
        }
    }
}
