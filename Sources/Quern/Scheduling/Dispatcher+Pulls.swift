// SPDX-License-Identifier: Apache-2.0
import DequeModule
import QuernStore

extension Dispatcher {
    // MARK: - Workers take work

    /// The next pull for a worker; nil when the worker is to end.
    ///
    /// Cancels go first, since they are quick and somebody waits; then ends of parents, since they free what their
    /// children left; then ready tasks, first come, first served.
    mutating func next(for worker: WorkerID, at place: HandlerPlace, isFirst: Bool = false) -> Pull? {
        if isFirst { self[place].starting -= 1 }
        if !isFirst, yieldsToOtherLane(place) {
            self[place].workers -= 1
            startWorker(at: place.other)
            return nil
        }
        guard isRunning, !isThrottled,
            let pull = takeCancels(at: place) ?? takeDecided(at: place) ?? takeSuspect(at: place)
                ?? takeReady(at: place)
        else {
            self[place].workers -= 1
            return nil
        }
        var flight = InFlight(pull: pull, place: place)
        if isSuspect(pull) {
            tryingWorker = worker
            flight.noted = tasks(of: pull)
        } else if isCareful(pull) {
            flight.noted = tasks(of: pull)
        }
        inFlight[worker] = flight
        flight.pull.isNoted = !flight.noted.isEmpty
        return flight.pull
    }

    /// A worker ends although there may be work.
    mutating func retire(at place: HandlerPlace) { self[place].workers -= 1 }

    /// When all workers are busy, the lanes share them evenly. A worker that has just started does one pull first.
    private func yieldsToOtherLane(_ place: HandlerPlace) -> Bool {
        let other = place.other
        return isRunning && !isThrottled && workerCount >= limits.concurrency
            && self[other].workers < self[place].workers && pullCount(at: other) > self[other].starting
    }

    private mutating func takeCancels(at place: HandlerPlace) -> Pull? {
        guard let first = self[place].cancels.popFirst() else { return nil }
        var entries = [first]
        var count = first.count
        if facts(of: first.run.label)?.hasCancelHook != true {
            while let next = self[place].cancels.first, count + next.count <= limits.cancelledPerPull,
                facts(of: next.run.label)?.hasCancelHook != true
            {
                entries.append(self[place].cancels.removeFirst())
                count += next.count
            }
        }
        return Pull(work: .cancel(entries), claims: PullClaims(0))
    }

    private mutating func takeDecided(at place: HandlerPlace) -> Pull? {
        guard
            let index = self[place].decided.firstIndex(where: { $0.fails || $0.parent.crashes == 0 || !isTrying })
        else { return nil }
        let decided = self[place].decided.remove(at: index)
        return Pull(
            work: decided.fails ? .failParent(decided.parent) : .finalize(decided.parent),
            claims: PullClaims(decided.parent.bit))
    }

    /// Tasks that ran when the process died are tried one at a time, so that only the culprit is blamed again.
    private mutating func takeSuspect(at place: HandlerPlace) -> Pull? {
        guard !isTrying, let first = suspects.first, self.place(of: first.run.label) == place else { return nil }
        let single = suspects[0].takeFirst(1)
        if suspects[0].bits == 0 { suspects.removeFirst() }
        return Pull(work: .execute(single), claims: PullClaims(single.bits))
    }

    private mutating func takeReady(at place: HandlerPlace) -> Pull? {
        guard let first = self[place].ready.first else { return nil }
        let size = pullSize(for: first.run.label, ready: self[place].readyCount)
        let entry = self[place].ready[0].takeFirst(size)
        if self[place].ready[0].bits == 0 { self[place].ready.removeFirst() }
        self[place].readyCount -= entry.count
        return Pull(work: .execute(entry), claims: PullClaims(entry.bits))
    }

    // MARK: - Workers report

    /// The `execute` of orchestrator tasks returned. Must be told before their transaction goes to the store, so
    /// that the commit finds the parents.
    mutating func advanced(_ run: SpawnRun, _ bits: UInt64) {
        for index in BitIndexes(bits) {
            let parent = WaitingParent(run: run, index: index)
            waiting[parent.id] = parent
            if cancelsChildren(of: run.parent) { doomed.insert(parent.id) }
        }
    }

    /// A worker's pull is over and its transaction, if any, went to the store.
    mutating func finished(_ worker: WorkerID, _ report: PullReport) {
        guard let flight = inFlight.removeValue(forKey: worker) else { return }
        if tryingWorker == worker { tryingWorker = nil }
        if report.transactionBytes > 0 {
            uncommittedBytes += report.transactionBytes
            uncommittedTransactions += 1
        }
        endedCount += UInt64(report.ended)
        switch flight.pull.work {
        case .execute(let entry): finished(entry, claims: flight.pull.claims, report)
        case .finalize(let parent): finishedFinalize(parent, report)
        case .failParent(let parent):
            if report.givenBack != 0 { decide(parent, fails: true) } else { forget(parent.id) }
        case .cancel(let entries):
            for entry in entries {
                if report.givenBack != 0 { enqueueCancel(entry) } else { forget(entry) }
            }
        }
        if !flight.noted.isEmpty { effects.changesNote = true }
    }

    private mutating func finished(_ entry: ReadyRun, claims: PullClaims, _ report: PullReport) {
        var rest = entry
        let unstarted = claims.takeBack(.max)
        admit(rest.take(unstarted | report.givenBack), atFront: true)
        var cancelled = rest.take(report.cancelled)
        cancelled.attempts += 1
        enqueueCancel(cancelled)
        for retry in report.retries {
            var single = rest.take(1 << UInt64(retry.index))
            single.attempts = retry.attempts
            delay(single, until: retry.notBefore)
        }
        if !doomed.isEmpty {
            for index in BitIndexes(rest.bits) where waiting[entry.run.id(at: index)] == nil {
                doomed.remove(entry.run.id(at: index))
            }
        }
        if report.tried > 0 {
            let label = Int(entry.run.label.rawValue)
            let cost = report.elapsed.inMilliseconds * 1e6 / Double(report.tried)
            costs[label] = costs[label].map { $0 + (cost - $0) / 4 } ?? cost
        }
    }

    /// A failed task waits for its next attempt, unless it was cancelled meanwhile.
    private mutating func delay(_ single: ReadyRun, until due: Timestamp) {
        let id = single.run.id(at: single.bits.trailingZeroBitCount)
        if isDoomed(id, parent: single.run.parent) { return enqueueCancel(single) }
        delay(.tasks(single), until: due)
    }

    /// A transaction committed, or failed so that it will never commit.
    mutating func committed(bytes: Int) {
        uncommittedBytes -= bytes
        uncommittedTransactions -= 1
    }

    // MARK: - Stuck pulls

    /// Called every few milliseconds while workers exist: takes the unstarted tasks of pulls that made no progress
    /// since the last tick, so that others can run them.
    ///
    /// - Returns: the workers of those pulls, whose finished outcomes should be committed now.
    /// - Complexity: O(workers).
    mutating func tick(ticksUntilNoted: Int) -> [WorkerID] {
        var stuck: [WorkerID] = []
        for worker in inFlight.keys.sorted() {
            guard var flight = inFlight[worker] else { continue }
            if case .finalize(let parent) = flight.pull.work {
                flight.idleTicks += 1
                let isDue = flight.idleTicks == ticksUntilNoted && flight.noted.isEmpty
                if isDue { flight.noted = [parent.id] }
                inFlight[worker] = flight
                if isDue { effects.changesNote = true }
                continue
            }
            guard case .execute(let entry) = flight.pull.work else { continue }
            let remaining = flight.pull.claims.remaining
            if remaining == flight.lastRemaining {
                flight.idleTicks += 1
                stuck.append(worker)
                var rest = entry
                admit(rest.take(flight.pull.claims.takeBack(remaining)), atFront: true)
                flight.pull.work = .execute(rest)
                if flight.idleTicks == ticksUntilNoted, flight.noted.isEmpty {
                    flight.noted = BitIndexes(flight.pull.claims.running).map(entry.run.id(at:))
                    inFlight[worker] = flight
                    effects.changesNote = true
                }
            } else {
                flight.idleTicks = 0
            }
            flight.lastRemaining = flight.pull.claims.remaining
            inFlight[worker] = flight
        }
        return stuck
    }
}
