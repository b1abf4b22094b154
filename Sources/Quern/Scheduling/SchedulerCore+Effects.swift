// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// What is to be done after an event, collected under the lock and carried out without it.
struct FollowUp {
    private var starts: [(Dispatcher.Effects.Start, PullBuffer)] = []
    private var cancellations: [Task<Void, Never>] = []
    private var changesNote = false
    private var overdue: [TaskID] = []
    private var questions: [TaskDependency] = []
    private var needs: [Dispatcher.Effects.Need] = []
    private var timer: (due: Timestamp, number: UInt64)?
    private var oldTimer: Task<Void, Never>?
    private var startsTicking = false
    private var stopWaiter: CheckedContinuation<Void, Never>?
    private var quietWaiters: [CheckedContinuation<Void, Never>] = []
    private var roomWaiters: [RoomWaiter] = []
    private var vain: [TaskID: RootWatch] = [:]
    private var looksAtSchedules = false

    init(_ state: inout CoreState) {
        looksAtSchedules = state.takeTurnBack()
        if !state.roomWaiters.isEmpty { roomWaiters = state.takeRoomWaiters() }
        let effects = state.dispatcher.takeEffects()
        changesNote = effects.changesNote
        overdue = effects.overdue
        questions = effects.questions
        needs = effects.needs
        for start in effects.starts {
            let entry = CoreState.WorkerEntry()
            state.workers[start.worker] = entry
            starts.append((start, entry.buffer))
        }
        for worker in effects.cancellations {
            switch state.workers[worker]?.handle {
            case .started(let task): cancellations.append(task)
            case .starting: state.workers[worker]?.handle = .starting(isCancelled: true)
            case nil: break
            }
        }
        if !starts.isEmpty, !state.isTicking {
            state.isTicking = true
            startsTicking = true
        }
        if state.nextDue != state.timerDue {
            oldTimer = state.timer
            state.timer = nil
            state.timerNumber += 1
            state.timerDue = state.nextDue
            timer = state.timerDue.map { ($0, state.timerNumber) }
        }
        if !state.quietWaiters.isEmpty, state.isQuiet { swap(&quietWaiters, &state.quietWaiters) }
        vain = state.watchesInVain
        if state.isAtRest {
            stopWaiter = state.stopWaiter
            state.stopWaiter = nil
        }
    }

    func carryOut(_ core: SchedulerCore) {
        // Before anybody looks for it.
        if !needs.isEmpty { core.retainTrees(needs) }
        for task in cancellations { task.cancel() }
        oldTimer?.cancel()
        if let timer { core.startTimer(due: timer.due, number: timer.number) }
        if changesNote { core.noteInFlight() }
        for (start, buffer) in starts { core.startWorker(start, buffer) }
        if startsTicking { core.startTicking() }
        if !overdue.isEmpty { core.expire(overdue) }
        if !questions.isEmpty { core.ask(questions) }
        if !vain.isEmpty { core.answerInVain(vain) }
        // By itself, since whoever caused this may have the schedules in hand.
        if looksAtSchedules { Task.detached { core.lookAtSchedulesAgain() } }
        stopWaiter?.resume()
        for waiter in quietWaiters { waiter.resume() }
        for waiter in roomWaiters { waiter.continuation.resume() }
    }
}

extension SchedulerCore {
    func startWorker(_ start: Dispatcher.Effects.Start, _ buffer: PullBuffer) {
        // Detached: who happens to cause the start passes on neither priority nor task-local values.
        let task = Task.detached(executorPreference: start.place == .threads ? threads : nil) {
            await EventHub.$ofHandler.withValue(ObjectIdentifier(self.events)) { await self.work(start, buffer) }
        }
        let isCancelled = perform { state in
            guard case .starting(let isCancelled) = state.workers[start.worker]?.handle else { return false }
            state.workers[start.worker]?.handle = .started(task)
            return isCancelled
        }
        if isCancelled { task.cancel() }
    }

    func startTimer(due: Timestamp, number: UInt64) {
        let task = Task.detached { [weak self, clock] in
            try? await clock.sleep(until: due)
            let due = self?.perform { state -> (ticks: Bool, reads: Bool, stalled: CoreState.Stalled) in
                guard state.timerNumber == number else {
                    return (ticks: false, reads: false, stalled: .init())
                }
                state.timer = nil
                state.timerDue = nil
                state.dispatcher.timePassed()
                return (ticks: state.takeTick(), reads: state.takeReading(), stalled: state.takeStalled())
            }
            if let stalled = due?.stalled { self?.retry(stalled) }
            if due?.ticks == true { self?.fireSchedules() }
            if due?.reads == true { await self?.readPressure() }
        }
        let isCurrent = perform { state in
            guard state.timerNumber == number, state.timerDue != nil else { return false }
            state.timer = task
            return true
        }
        if !isCurrent { task.cancel() }
    }

    /// Has the log say which tasks are in flight. Behind a lock of its own, so that a later note never says less than
    /// what is true by then.
    func noteInFlight(_ completion: (@Sendable (Result<Commit, StoreError>) -> Void)? = nil) {
        notes.withLock { _ in
            var transaction = Transaction()
            transaction.noteInFlight(read { $0.dispatcher.inFlightNote })
            // The system keeps it when the process dies, which is all that it is for.
            store.enqueue(transaction, durability: .buffered, completion: completion)
        }
    }

    /// How often stuck pulls are looked for, and after how many looks a running task is noted on disk.
    private static let tickLength = Duration.milliseconds(25)
    private static let ticksUntilNoted = 40

    func startTicking() {
        Task.detached { [weak self] in
            repeat { try? await Task.sleep(for: Self.tickLength) } while self?.tick() == true
        }
    }

    /// - Returns: whether there is a reason to tick again.
    private func tick() -> Bool {
        let (buffers, goesOn) = perform { state -> ([PullBuffer], Bool) in
            state.ticks += 1
            let stuck = state.dispatcher.tick(ticksUntilNoted: Self.ticksUntilNoted)
            state.isTicking = !state.dispatcher.isIdle
            return (stuck.compactMap { state.workers[$0]?.buffer }, state.isTicking)
        }
        for buffer in buffers {
            buffer.relieve { transaction in
                let bytes = transaction.estimatedBytes
                perform { state in
                    state.dispatcher.uncommittedBytes += bytes
                    state.dispatcher.uncommittedTransactions += 1
                }
                commit(transaction, bytes: bytes)
            }
        }
        noteLoad(isLast: !goesOn)
        return goesOn
    }

    /// Tells the metrics once a second, and when there is nothing left to do, how much waits and runs.
    private func noteLoad(isLast: Bool) {
        let load = perform { state in
            isLast || state.ticks % Self.ticksUntilNoted == 0 ? state.dispatcher.load : nil
        }
        if let load { observers.note(load) }
    }
}
