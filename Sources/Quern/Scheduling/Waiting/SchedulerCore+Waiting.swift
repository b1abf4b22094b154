// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What the dispatcher cannot know by itself: how tasks ended that others wait for, and that tasks whose time is over
/// are to be cancelled.
extension SchedulerCore {
    // MARK: - Time to live

    /// Cancels in one transaction.
    private static let cancelsAtOnce = 4096

    /// The time to live that counts from the first attempt of tasks, if they have one.
    func attemptLimit(of run: SpawnRun) -> Duration? { attributes(of: run)?.attemptLimit }

    /// Tells that an attempt of a task begins.
    func began(_ entry: ReadyRun, _ index: Int, _ limit: Duration) {
        var single = entry
        single.bits = 1 << UInt64(index)
        let task = single
        perform { $0.dispatcher.began(task, limit) }
    }

    /// Has tasks cancelled whose time is over (T10).
    func expire(_ tasks: [TaskID]) {
        Task.detached { [self] in
            var left = tasks
            do throws(StoreError) { try await requestExpiry(&left) } catch {
                // The store tells by itself when it is closed or fails.
                if error.isTransient { stall(error) }
            }
            let late = left
            perform { state in
                state.dispatcher.questionsUnderWay -= 1
                state.dispatcher.delayExpiry(of: late)
            }
        }
    }

    /// - Parameter tasks: those that are left when it throws.
    private func requestExpiry(_ tasks: inout [TaskID]) async throws(StoreError) {
        var size = Self.cancelsAtOnce
        while !tasks.isEmpty {
            let part = tasks.suffix(size).filter { store.isLive($0) }
            var transaction = Transaction()
            for task in part { transaction.requestCancel(task, as: .expired) }
            do throws(StoreError) {
                if !part.isEmpty { try await store.append(transaction) }
                tasks.removeLast(min(size, tasks.count))
                size = min(Self.cancelsAtOnce, 2 * size)
            } catch {
                guard error.code == .rejected else { throw error }
                // One of them has just ended.
                if size == 1 { tasks.removeLast() } else { size = max(1, min(size, tasks.count) / 2) }
            }
        }
    }

    /// When the first attempts of tasks began whose time to live counts from it, as far as a store knows that was just
    /// opened: of those that were tried again, or whose `execute` has returned.
    func firstStarts(_ live: LiveTasks) async throws(StoreError) -> [TaskID: Timestamp] {
        var tried: [TaskID] = []
        for entry in live.runs {
            guard let bytes = live.attributes[entry.run.firstID],
                (try? TaskAttributes(decoding: bytes))?.attemptLimit != nil
            else { continue }
            tried += BitIndexes(entry.live).map(entry.run.id(at:)).filter {
                live.details[$0].map { $0.attempts > 0 || $0.phase != TaskPhase.executing } ?? false
            }
        }
        if tried.isEmpty { return [:] }
        let (store, known) = (store, tried)
        return try await ThreadPool.blocking.run { () throws(StoreError) in
            var starts: [TaskID: Timestamp] = [:]
            for id in known {
                // What `execute` leaves for `finalize` begins with a start, too: the only one when there was no other.
                var bytes = try store.kept(id, slot: TaskSlot.firstStart)
                if bytes == nil, live.details[id]?.phase != TaskPhase.executing {
                    bytes = try store.kept(id, slot: TaskSlot.handover)
                }
                starts[id] = bytes.flatMap(SealedHandover.startedAt)
            }
            return starts
        }
    }

    /// Cancels what a store had that was just opened and whose time is over, so that none of it is run.
    ///
    /// - Returns: whether there was anything.
    func expireOverdue(
        _ live: LiveTasks, _ firstStarts: [TaskID: Timestamp]
    ) async throws(StoreError) -> Bool {
        if live.attributes.isEmpty { return false }
        var overdue: [TaskID] = []
        let now = clock.now
        for entry in live.runs {
            guard let bytes = live.attributes[entry.run.firstID], let terms = try? TaskAttributes(decoding: bytes),
                terms.timeToLive != nil
            else { continue }
            overdue += BitIndexes(entry.live).map(entry.run.id(at:)).filter { id in
                let due = terms.deadline(ofSpawnAt: entry.run.submittedAt, firstStart: firstStarts[id])
                return due.map { $0 <= now } ?? false && live.details[id]?.cancel == nil
            }
        }
        if overdue.isEmpty { return false }
        do throws(StoreError) { try await requestExpiry(&overdue) } catch {
            // They are found again, once it is run.
            guard error.isTransient else { throw error }
        }
        return true
    }

    // MARK: - Dependencies

    /// Checks what tasks are to depend on. What it cannot see yet, since it commits at the same time, the dispatcher
    /// finds when it comes (``DependencyTable/unreachable(_:under:_:)``).
    ///
    /// - Throws: `invalidOptions` for a task that never was, one of another parent than is said, or one above.
    /// - Complexity: O((dependencies + depth) x log live).
    func checkDependencies(of terms: SpawnTerms, under parent: TaskID) throws(SchedulerError) {
        let last = store.lastTask
        for dependency in terms.dependencies {
            guard dependency.task != .none, dependency.task <= last else {
                throw SchedulerError(.invalidOptions, "a task cannot depend on \(dependency.task), which never was")
            }
            guard let run = store.run(of: dependency.task), run.parent != dependency.parent else { continue }
            throw SchedulerError(
                .invalidOptions, "task \(dependency.task) is a child of \(run.parent), not of \(dependency.parent)")
        }
        var above = parent
        while above != .none {
            if terms.dependencies.contains(where: { $0.task == above }) {
                throw SchedulerError(.invalidOptions, "a task cannot depend on \(above), which waits for it")
            }
            above = store.run(of: above)?.parent ?? .none
        }
    }

    /// Finds out how tasks ended, or has the dispatcher told when they do.
    func ask(_ questions: [TaskDependency]) {
        // Watched or ended: the store knows both at one moment.
        let ended = Set(store.watch(questions.lazy.map(\.task)))
        if ended.isEmpty {
            perform { $0.dispatcher.questionsUnderWay -= 1 }
            return
        }
        let unknown = questions.filter { ended.contains($0.task) }
        Task.detached(executorPreference: threads) { [self] in
            let kinds = Result { () throws(StoreError) in try lookUp(unknown) }
            if case .failure(let error) = kinds { readFailed(error) { $0.keep(unknown) } }
            perform { state in
                state.dispatcher.questionsUnderWay -= 1
                guard case .success(let kinds) = kinds else { return }
                for question in unknown { state.dispatcher.dependencyEnded(question.task, kinds[question.task]) }
            }
        }
    }

    /// How tasks ended. Blocking; one walk over the children of each parent, from the last one on.
    private func lookUp(_ tasks: [TaskDependency]) throws(StoreError) -> [TaskID: OutcomeKind] {
        var kinds: [TaskID: OutcomeKind] = [:]
        for (parent, group) in Dictionary(grouping: tasks, by: \.parent) {
            var wanted = Set(group.map(\.task))
            var cursor = try store.children(of: parent).reversed().makeCursor(columns: .facts)
            var block = ChildBlock()
            while !wanted.isEmpty, try cursor.next(into: &block) {
                for index in 0..<block.count {
                    if let task = wanted.remove(block.id(at: index)) { kinds[task] = block.kind(at: index) }
                }
            }
        }
        return kinds
    }
}

extension Dispatcher {
    /// How long tasks that could not be cancelled wait.
    private static let retryLength = Duration.milliseconds(500)

    /// Tasks could not be cancelled when their time was over: once more in a moment.
    mutating func delayExpiry(of tasks: [TaskID]) {
        for task in tasks { deadlines.putBack(task, due: now.advanced(by: Self.retryLength)) }
    }
}

extension Transaction {
    /// Keeps when the first attempt of a task began.
    mutating func keep(firstStart time: Timestamp, of task: TaskID) {
        var writer = ByteWriter()
        writer.append(littleEndian: time.rawValue)
        keep(task, slot: TaskSlot.firstStart, writer.bytes)
    }

    /// Ends a task as cancelled in some way, with the reason where that is a failure.
    ///
    /// - Parameter remains: what is kept for whoever runs the task again: of failures, and of what was cancelled for
    ///   them (``Dispatcher/leavesRemains(_:)``).
    mutating func end(cancelled outcome: Outcome, leaving remains: [UInt8]) {
        switch outcome.kind {
        case .expired: end(outcome, as: .expired, failure: FailureInfo(reason: "expired"), leaving: remains)
        case .dependencyFailed:
            let failure = FailureInfo(reason: "dependency failed")
            end(outcome, as: .dependencyFailed, failure: failure, leaving: remains)
        default: end(outcome, attachment: remains)
        }
    }
}
