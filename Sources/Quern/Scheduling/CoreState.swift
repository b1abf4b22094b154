// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// All that the scheduler's lock protects.
struct CoreState {
    enum Phase: Equatable {
        /// `run()` was not called.
        case idle
        case running
        /// No more work is given out; what runs is waited for.
        case stopping
        case stopped
    }

    /// A worker that exists.
    struct WorkerEntry {
        enum Handle {
            case starting(isCancelled: Bool)
            case started(Task<Void, Never>)
        }
        var handle = Handle.starting(isCancelled: false)
        let buffer = PullBuffer()
    }

    /// What the store lacked something for, until it is tried again.
    struct Stalled {
        /// A transaction that found no space.
        struct Commit {
            var transaction: Transaction
            var bytes: Int
            /// What is told once it is durable.
            var events: [TaskEvent]
        }

        var commits: [Commit] = []
        /// Tasks of which could not be read how they ended.
        var questions: [TaskDependency] = []
    }

    var dispatcher: Dispatcher
    var phase = Phase.idle
    /// Whether the end was asked for before `run()` was called.
    var stopsAtStart = false
    /// Whether what the store had when it was opened has been taken over.
    var isRecovered = false
    var failure: StoreError?
    var workers: [Dispatcher.WorkerID: WorkerEntry] = [:]
    var watches: [TaskID: RootWatch] = [:]
    /// The trees that retention must leave to live tasks, by the first id of their run.
    var neededTrees: [TaskID: [TreePin]] = [:]
    /// Resumed when the scheduler stops and nothing runs any more.
    var stopWaiter: CheckedContinuation<Void, Never>?
    /// Resumed when nothing is left to do for now, or the scheduler does not run.
    var quietWaiters: [CheckedContinuation<Void, Never>] = []
    /// Handlers that wait until their task has fewer children.
    var roomWaiters: [UInt64: RoomWaiter] = [:]
    var lastRoomWaiter: UInt64 = 0
    /// When the next schedule is due.
    var nextTick: Timestamp?
    /// When the sources of pressure are asked next.
    var nextReading: Timestamp?
    var timer: Task<Void, Never>?
    var timerDue: Timestamp?
    var timerNumber: UInt64 = 0
    var isTicking = false
    /// How often stuck pulls were looked for.
    var ticks = 0
    private(set) var stalled = Stalled()
    /// Whether the log says that there is no space: it says so once, and once when there is again.
    var hasReportedStall = false

    /// Whether the clock was turned back, so that what schedules wait for has to be found anew.
    private var wasTurnedBack = false

    init(dispatcher: Dispatcher) { self.dispatcher = dispatcher }

    /// The time of the event that is told next.
    mutating func setTime(_ now: Timestamp) {
        let earliest = dispatcher.now.rawValue.subtractingSaturating(Schedule.smallestCorrection)
        if now.rawValue < earliest { wasTurnedBack = true }
        let isSetBack = now.isSetBack(from: dispatcher.now)
        if isSetBack, nextReading != nil { nextReading = now }
        dispatcher.stallEnd = dispatcher.stallEnd.map { min($0, stallLimit(from: now)) }
        dispatcher.now = now
        if isSetBack { dispatcher.queues.clockWasSetBack(to: now) }
    }

    // MARK: - Stalls

    /// How long transactions wait for space before they are tried again, in milliseconds.
    private static let stallLength: Int64 = 500

    private func stallLimit(from now: Timestamp) -> Timestamp {
        Timestamp(milliseconds: now.rawValue.addingSaturating(Self.stallLength))
    }

    /// There is no space: nothing is given out, and nothing committed, for a while.
    mutating func stall() {
        dispatcher.stallEnd = dispatcher.stallEnd ?? stallLimit(from: dispatcher.now)
    }

    /// Keeps what found no space until it is tried again. When the scheduler stops its tasks have no outcome, and stay
    /// pending.
    mutating func keep(_ commit: Stalled.Commit) {
        if phase == .running { stalled.commits.append(commit) } else { dispatcher.committed(bytes: commit.bytes) }
    }

    /// Keeps what is to be asked once more, also in a scheduler that is not yet run: who waits for it waits on.
    mutating func keep(_ questions: [TaskDependency]) {
        guard phase == .running || phase == .idle else { return }
        stalled.questions += questions
        stall()
    }

    /// What is to be tried again by now.
    mutating func takeStalled() -> Stalled {
        guard let end = dispatcher.stallEnd, end <= dispatcher.now else { return Stalled() }
        if !stalled.questions.isEmpty { dispatcher.questionsUnderWay += 1 }
        defer { endStall() }
        return stalled
    }

    private mutating func endStall() {
        stalled = Stalled()
        dispatcher.stallEnd = nil
    }

    /// The scheduler stops.
    mutating func abandonStalled() {
        for entry in stalled.commits { dispatcher.committed(bytes: entry.bytes) }
        endStall()
    }

    /// Whether the schedules are to be looked at again. If so, the caller must do it.
    mutating func takeTurnBack() -> Bool {
        guard wasTurnedBack, phase == .running else { return false }
        wasTurnedBack = false
        dispatcher.questionsUnderWay += 1
        return true
    }

    /// Who waits, while the scheduler stops, for tasks that no worker has and whose outcomes are not on their way:
    /// those that live do not end any more here.
    var watchesInVain: [TaskID: RootWatch] {
        guard phase == .stopping, !watches.isEmpty, dispatcher.uncommittedTransactions == 0 else { return [:] }
        let underWay = dispatcher.rootsInFlight
        return watches.filter { !underWay.contains($0.key) }
    }

    /// When something is to be done that nobody calls for.
    var nextDue: Timestamp? {
        guard dispatcher.isRunning else { return nil }
        return [dispatcher.nextDue, nextTick, nextReading, dispatcher.stallEnd].reduce(nil, Dispatcher.earlier)
    }

    /// Whether nothing can happen before the next time that something waits for, or somebody calls.
    var isQuiet: Bool {
        guard phase == .running else { return phase != .idle }
        let isDue = nextDue.map { $0 <= dispatcher.now } ?? false
        return dispatcher.isIdle && dispatcher.uncommittedTransactions == stalled.commits.count
            && dispatcher.questionsUnderWay == 0 && !isDue
    }

    /// Whether everything that was running has come to rest.
    var isAtRest: Bool {
        phase == .stopping && dispatcher.isIdle && (dispatcher.uncommittedTransactions == 0 || failure != nil)
    }
}
