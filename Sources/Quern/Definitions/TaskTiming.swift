// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// When a task may start at the earliest. Kept to the millisecond, durable with the task.
///
/// Until then it takes no worker, counts against no limit and can be cancelled. Other reasons to wait come on top: a
/// task that depends on others starts when those have ended and its time has come.
public enum TaskStart: Sendable, Equatable {
    case at(Timestamp)
    /// This long after the call that spawned it, a hundred years at most.
    case after(Duration)
}

/// How long a task may take to end. Kept to the millisecond, a hundred years at most.
///
/// When it is over, the task is cancelled with all below it and ends as ``OutcomeKind/expired``, wherever it is: one
/// that waits soon, one that runs once its handler has returned, an orchestrator once its children have ended. The
/// request to do so is durable first, so that a crash meanwhile changes nothing.
public struct TimeToLive: Sendable, Equatable {
    /// What the time counts from.
    public enum Basis: UInt8, Sendable, CaseIterable {
        /// The call that spawned the task. The time goes on while no process has the store: what is over by the next
        /// start is not run.
        case submission = 1
        /// When its first attempt began; waiting does not count, but the time between attempts does, also while no
        /// process has the store. After a restart an attempt that a stop or a crash cut short is none (T14): if that
        /// was the first, the time begins with the next.
        case firstAttempt = 2
    }

    public var duration: Duration
    public var basis: Basis

    public init(_ duration: Duration, from basis: Basis = .submission) {
        self.duration = duration
        self.basis = basis
    }
}

extension TaskAttributes {
    /// When the tasks may start at the earliest; nil for at once.
    func startTime(ofSpawnAt time: Timestamp) -> Timestamp? {
        switch start {
        case .at(let start)?: start
        case .after(let delay)?: time.advanced(by: delay)
        case nil: nil
        }
    }

    /// When the time to live is over that counts from the spawn.
    func deadline(ofSpawnAt time: Timestamp) -> Timestamp? {
        guard let timeToLive, timeToLive.basis == .submission else { return nil }
        return time.advanced(by: timeToLive.duration)
    }

    /// Whether it makes a difference when exactly the task is spawned.
    var countsFromSpawn: Bool {
        if case .after? = start { true } else { timeToLive?.basis == .submission }
    }

    /// When the time to live is over, if that is known.
    func deadline(ofSpawnAt time: Timestamp, firstStart: Timestamp?) -> Timestamp? {
        if let attemptLimit { return firstStart?.advanced(by: attemptLimit) }
        return deadline(ofSpawnAt: time)
    }

    /// The time to live that counts from the first attempt.
    var attemptLimit: Duration? { timeToLive.flatMap { $0.basis == .firstAttempt ? $0.duration : nil } }

    /// What the tasks of a run wait for, each once.
    func dependencies(of run: SpawnRun) -> [TaskDependency] {
        var all = dependencies
        for distance in backward where distance < run.firstID.rawValue {
            all.append(TaskDependency(TaskID(run.firstID.rawValue - distance), parent: run.parent))
        }
        var seen: Set<TaskID> = []
        return all.count < 2 ? all : all.filter { seen.insert($0.task).inserted }
    }
}

extension Duration {
    /// The longest that a task may be put off, or live.
    static let century = Duration.seconds(100 * 366 * 24 * 3600)

    /// From nothing to a hundred years, in whole milliseconds, rounded up.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = min(max(.zero, self), .century).components
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
