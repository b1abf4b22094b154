// SPDX-License-Identifier: Apache-2.0
import DequeModule
import HeapModule
import QuernStore

extension Dispatcher {
    /// Whether all children of a parent are to be cancelled.
    func cancelsChildren(of parent: TaskID) -> Bool { doomed.contains(parent) || failing.contains(parent) }

    /// Whether a task is to be cancelled: by itself or with its parent.
    func isDoomed(_ id: TaskID, parent: TaskID) -> Bool { doomed.contains(id) || cancelsChildren(of: parent) }

    /// Cancels tasks with all below them (T10).
    ///
    /// - Complexity: one pass over all queues when a parent is among them. Others are swept out of the queues together,
    ///   before a worker gets its next pull.
    mutating func cancel(_ ids: [TaskID]) {
        let new = ids.filter { $0 != .none && doomed.insert($0).inserted }
        guard !new.isEmpty else { return }
        unswept += new
        if new.contains(where: isParent) { sweep() } else { sweepInFlight(SweepMask(Set(new))) }
    }

    /// Cancels tasks with all below them, as the store was asked to: each with the outcome that it is to have.
    mutating func cancel(_ kinds: [TaskID: OutcomeKind]) {
        for (id, kind) in kinds where kind != .cancelled { cancelKinds[id] = kind }
        cancel(kinds.keys.sorted())
    }

    mutating func sweep() {
        let ids = unswept
        unswept = []
        sweep(ids)
    }

    /// Moves the tasks that `ids` names, and all tasks below those, to the cancels, wherever they are.
    ///
    /// Every live parent below is in `waiting` or in `early`, or with a worker and will come there, so that no question
    /// to the store is needed: a child's id is greater than its parent's, and one pass in id order finds all levels.
    ///
    /// - Parameter spared: one of them that stays where it is; what is below it does not.
    mutating func sweep(_ ids: [TaskID], sparing spared: TaskID = .none) {
        var named = Set(ids)
        for (id, parent) in ids.contains(where: isParent) ? parents : [] where !named.contains(id) {
            if named.contains(parent) {
                named.insert(id)
                doomed.insert(id)
            }
        }
        let mask = SweepMask(named, sparing: spared)
        sweepQueues(mask)
        sweepFails()
        sweepHeld(mask)
        sweepHeldParents()
        sweepDelayed(mask)
        sweepDependencies(mask)
        sweepInFlight(mask)
    }

    private mutating func sweepQueues(_ mask: SweepMask) {
        var removed: [ReadyRun] = []
        queues.remove(now: now, { mask.bits(of: $0.run) & $0.bits }, { removed.append($0) })
        for entry in removed { enqueueCancel(entry) }
    }

    /// A fail-fast parent whose children have all ended fails, unless it is cancelled itself.
    private mutating func sweepFails() {
        for _ in fails.indices {
            let parent = fails.removeFirst()
            if isDoomed(parent.id, parent: parent.run.parent) {
                enqueueCancel(of: parent)
            } else {
                fails.append(parent)
            }
        }
    }

    private mutating func sweepHeld(_ mask: SweepMask) {
        var kept: [ReadyRun] = []
        for var entry in held {
            enqueueCancel(entry.take(mask.bits(of: entry.run)))
            if entry.bits != 0 { kept.append(entry) }
        }
        held = kept
    }

    private mutating func sweepHeldParents() {
        for id in heldParents.sorted() {
            guard let parent = waiting[id], isDoomed(id, parent: parent.run.parent) else { continue }
            heldParents.remove(id)
            enqueueCancel(of: parent)
        }
    }

    private mutating func sweepDelayed(_ mask: SweepMask) {
        var kept: [Delayed] = []
        for var entry in delayed.unordered {
            switch entry.item {
            case .tasks(var tasks):
                enqueueCancel(tasks.take(mask.bits(of: tasks.run)))
                entry.item = .tasks(tasks)
                if tasks.bits != 0 { kept.append(entry) }
            case .finalize(let id):
                if let parent = waiting[id], isDoomed(id, parent: parent.run.parent) {
                    enqueueCancel(of: parent)
                } else {
                    kept.append(entry)
                }
            }
        }
        delayed = Heap(kept)
    }

    /// Takes back what no worker has started, and has the others interrupted. A worker then asks ``isDoomed`` for
    /// the task that it runs, and reports it as cancelled.
    private mutating func sweepInFlight(_ mask: SweepMask) {
        for worker in inFlight.keys.sorted() {
            guard let flight = inFlight[worker] else { continue }
            switch flight.pull.work {
            case .execute(let entry):
                let wanted = entry.bits & mask.bits(of: entry.run)
                guard wanted != 0 else { continue }
                if let taken = withdraw(wanted, from: worker) { enqueueCancel(taken) }
                if wanted & flight.pull.claims.running != 0 { interrupt(worker) }
            case .finalize(let parent):
                if isDoomed(parent.id, parent: parent.run.parent) { interrupt(worker) }
            case .failParent, .cancel: break
            }
        }
    }

    /// Has a worker's handler cancelled; its worker ends after it.
    mutating func interrupt(_ worker: WorkerID) {
        inFlight[worker]?.pull.claims.interrupt()
        effects.cancellations.append(worker)
    }

    /// Whether no task is with a worker, on its way to the store, or to be cancelled.
    var hasNothingUnderWay: Bool {
        workerCount == 0 && uncommittedTransactions == 0 && unswept.isEmpty && cooperative.cancels.isEmpty
            && threads.cancels.isEmpty && fails.isEmpty
    }

    /// Forgets cancels that came when the outcome of their task was on its way to the store: with nothing under way,
    /// whoever is doomed and no parent has ended.
    mutating func forgetEnded() {
        for id in doomed where !isParent(id) {
            doomed.remove(id)
            cancelKinds[id] = nil
        }
    }

    // MARK: - Stop

    /// The root tasks that workers have, with whatever they do about them.
    var rootsInFlight: Set<TaskID> {
        var roots: Set<TaskID> = []
        func add(_ entry: ReadyRun) {
            guard entry.run.parent == .none else { return }
            for index in BitIndexes(entry.bits) { roots.insert(entry.run.id(at: index)) }
        }
        for flight in inFlight.values {
            switch flight.pull.work {
            case .execute(let entry): add(entry)
            case .finalize(let parent), .failParent(let parent): add(parent.ready)
            case .cancel(let entries): for entry in entries { add(entry) }
            }
        }
        return roots
    }

    /// Gives out no more pulls; workers end after the task they run. What they have not started stays pending.
    ///
    /// - Parameter immediately: whether the handlers that run are cancelled.
    mutating func stop(immediately: Bool) {
        isRunning = false
        for (worker, flight) in inFlight {
            flight.pull.claims.interrupt()
            if immediately { effects.cancellations.append(worker) }
        }
    }
}

/// Which tasks of a run are named, by their own id or by their parent's.
struct SweepMask {
    private let sorted: [TaskID]
    /// Named as a parent alone.
    private let spared: TaskID

    init(_ ids: some Sequence<TaskID>, sparing spared: TaskID = .none) {
        sorted = ids.sorted()
        self.spared = spared
    }

    func bits(of run: SpawnRun) -> UInt64 {
        let parent = sorted.partition { $0 >= run.parent }
        if parent < sorted.count, sorted[parent] == run.parent { return run.allBits }
        return ownBits(of: run)
    }

    /// Of those that are named by their own ids.
    func ownBits(of run: SpawnRun) -> UInt64 {
        var low = sorted.partition { $0 >= run.firstID }
        var bits: UInt64 = 0
        let end = run.firstID.rawValue + UInt64(run.count)
        while low < sorted.count, sorted[low].rawValue < end {
            if sorted[low] != spared { bits |= 1 << (sorted[low].rawValue - run.firstID.rawValue) }
            low += 1
        }
        return bits
    }
}
