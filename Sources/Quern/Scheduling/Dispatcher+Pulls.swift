// SPDX-License-Identifier: Apache-2.0
import DequeModule
import QuernStore

extension Dispatcher {
    // MARK: - Workers take work

    /// The next pull for a worker; nil when the worker is to end.
    ///
    /// Cancels go first, since they are quick and somebody waits; then fail-fast parents; then what the queues say.
    mutating func next(for worker: WorkerID, at place: HandlerPlace, isFirst: Bool = false) -> Pull? {
        if isFirst { self[place].starting -= 1 }
        if !cancelledWorkers.isEmpty, cancelledWorkers.remove(worker) != nil {
            self[place].workers -= 1
            return nil
        }
        sweepIfDue()
        if !isFirst, yieldsToOtherLane(place) {
            self[place].workers -= 1
            startWorker(at: place.other)
            return nil
        }
        guard isRunning, !isThrottled, busyWorkers <= concurrency,
            let pull = takeCancels(at: place) ?? takeFailed(at: place) ?? takeReady(at: place) ?? takeSwept(at: place)
        else {
            self[place].workers -= 1
            return nil
        }
        var flight = InFlight(pull: pull, place: place)
        if isSuspect(pull) || isCareful(pull) { flight.noted = tasks(of: pull) }
        inFlight[worker] = flight
        flight.pull.isNoted = !flight.noted.isEmpty
        return flight.pull
    }

    /// When all workers are busy, the lanes share them evenly, unless one has better work. A worker that has just
    /// started does one pull first.
    private mutating func yieldsToOtherLane(_ place: HandlerPlace) -> Bool {
        let other = place.other
        return isRunning && !isThrottled && busyWorkers >= concurrency
            && pullCount(at: other) > self[other].starting && !goesFirst(place)
    }

    private mutating func takeCancels(at place: HandlerPlace) -> Pull? {
        guard let first = self[place].cancels.popFirst() else { return nil }
        var entries = [first]
        var count = first.count
        // Their payloads have to be read and written again.
        let leavesRemains = leavesRemains(first)
        if facts(of: first.run.label)?.hasCancelHook != true, !leavesRemains {
            while let next = self[place].cancels.first, count + next.count <= limits.cancelledPerPull,
                facts(of: next.run.label)?.hasCancelHook != true, !self.leavesRemains(next)
            {
                entries.append(self[place].cancels.removeFirst())
                count += next.count
            }
        }
        var pull = Pull(work: .cancel(entries), claims: PullClaims(0))
        pull.leavesRemains = leavesRemains
        if !cancelKinds.isEmpty {
            for entry in entries {
                for index in BitIndexes(entry.bits) {
                    let id = entry.run.id(at: index)
                    pull.cancelKinds[id] = cancelKinds[id]
                }
            }
        }
        return pull
    }

    private mutating func takeFailed(at place: HandlerPlace) -> Pull? {
        guard place == .threads else { return nil }
        while let parent = fails.popFirst() {
            if !isUnswept || !(doomed.contains(parent.id) || isDoomed(below: parent.run.parent)) {
                return Pull(work: .failParent(parent), claims: PullClaims(0))
            }
            enqueueCancel(of: parent)
        }
        return nil
    }

    /// Nothing is started that was to be cancelled before.
    private mutating func takeReady(at place: HandlerPlace) -> Pull? {
        let (sizes, workers) = (sizes, concurrency)
        while let grant = queues.take(at: place, now: now, size: { sizes.size(for: $0, ready: $1, workers: workers) }) {
            var entry = grant.entry
            if isUnswept {
                divertDoomed(&entry, finalizes: grant.finalizes)
                let diverted = grant.entry.count - entry.count
                guard entry.bits != 0 else {
                    queues.finish(grant.charge, unstarted: diverted, now: now)
                    continue
                }
                if diverted > 0 { queues.giveBack(diverted, of: grant.charge, now: now) }
            }
            var pull = Pull(work: .execute(entry), claims: PullClaims(entry.bits))
            if grant.finalizes {
                var parent = WaitingParent(entry, index: entry.bits.trailingZeroBitCount)
                parent = waiting[parent.id] ?? parent
                pull.work = .finalize(parent)
            }
            pull.charge = grant.charge
            pull.level = grant.level
            pull.readySince = grant.since
            pull.queued = .milliseconds(max(0, now.rawValue.subtractingSaturating(grant.since.rawValue)))
            return pull
        }
        return nil
    }

    /// With nothing else to do, what is to be cancelled is looked for at once.
    private mutating func takeSwept(at place: HandlerPlace) -> Pull? {
        if isUnswept { sweep() }
        return takeCancels(at: place) ?? takeFailed(at: place)
    }

    // MARK: - Workers report

    /// The `execute` of orchestrator tasks returned. Must be told before their transaction goes to the store, so
    /// that the commit finds the parents.
    mutating func advanced(_ entry: ReadyRun, _ bits: UInt64) {
        for index in BitIndexes(bits) {
            let parent = WaitingParent(entry, index: index)
            waiting[parent.id] = parent
            early[parent.id] = nil
            if cancelsChildren(of: entry.run.parent) { doomed.insert(parent.id) }
        }
    }

    /// A worker's pull is over and its transaction, if any, went to the store.
    mutating func finished(_ worker: WorkerID, _ report: PullReport) {
        guard let flight = inFlight.removeValue(forKey: worker) else { return }
        if flight.isCancelled { cancelledWorkers.insert(worker) }
        var report = report
        let unstarted = flight.pull.claims.takeBack(.max)
        if let charge = flight.pull.charge {
            queues.finish(charge, unstarted: unstarted.nonzeroBitCount, now: now)
            if report.io.tasks > 0 { settle(flight.pull.work, report.io, charge) }
        }
        // Not started, or started for nothing: the same to who waits.
        report.givenBack |= unstarted
        if report.transactionBytes > 0 {
            uncommittedBytes += report.transactionBytes
            uncommittedTransactions += 1
        }
        endedCount += report.ended.total
        switch flight.pull.work {
        case .execute(let entry): finished(entry, report, readySince: flight.pull.readySince)
        case .finalize(let parent): finishedFinalize(parent, report)
        case .failParent(let parent):
            if report.givenBack != 0 { decide(parent, fails: true) } else { forget(parent.ready) }
        case .cancel(let entries):
            for entry in entries {
                if report.givenBack != 0 { enqueueCancel(entry) } else { forget(entry) }
            }
        }
        if !flight.noted.isEmpty { effects.changesNote = true }
    }

    /// Budgets get what handlers took instead of what was expected of them.
    private mutating func settle(_ work: Pull.Work, _ io: RecordedIO, _ charge: Charge) {
        let (label, group): (Label, Int32)
        switch work {
        case .execute(let entry): (label, group) = (entry.run.label, entry.group)
        case .finalize(let parent): (label, group) = (parent.run.label, parent.group)
        case .failParent, .cancel: return
        }
        let budgets = limiters.budgets(of: label, group: group, in: &queues)
        let expected = io.tasks * Int(charge.taskBytes)
        queues.settle(Int(io.total) - expected, with: budgets, now: now)
    }

    private mutating func finished(_ entry: ReadyRun, _ report: PullReport, readySince: Timestamp?) {
        var rest = entry
        admit(rest.take(report.givenBack), backSince: readySince ?? now)
        var cancelled = rest.take(report.cancelled)
        cancelled.attempts += 1
        enqueueCancel(cancelled)
        for retry in report.retries {
            var single = rest.take(1 << UInt64(retry.index))
            single.attempts = retry.attempts
            delay(single, until: retry.notBefore)
        }
        rest.bits &= ~report.advanced
        ended(rest)
        if report.tried > 0 {
            sizes.note(report.elapsed, tasks: report.tried, of: entry.run.label)
        }
    }

    /// A failed task waits for its next attempt, unless it was cancelled meanwhile.
    private mutating func delay(_ single: ReadyRun, until due: Timestamp) {
        let id = single.run.id(at: single.bits.trailingZeroBitCount)
        if isDoomed(id, parent: single.run.parent) { return enqueueCancel(single) }
        delay(.tasks(single), until: due)
    }

    /// Has tasks of a pull wait again that no worker has started.
    mutating func takeBack(_ bits: UInt64, from worker: WorkerID) {
        let since = inFlight[worker]?.pull.readySince ?? now
        if let taken = withdraw(bits, from: worker) { admit(taken, backSince: since) }
    }

    /// Takes those of `bits` that are not started out of a pull that executes.
    mutating func withdraw(_ bits: UInt64, from worker: WorkerID) -> ReadyRun? {
        guard let pull = inFlight[worker]?.pull, case .execute(var entry) = pull.work else { return nil }
        let taken = entry.take(pull.claims.takeBack(bits))
        inFlight[worker]?.pull.work = .execute(entry)
        if let charge = pull.charge, taken.bits != 0 { queues.giveBack(taken.count, of: charge, now: now) }
        return taken
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
                takeBack(remaining, from: worker)
                flight.pull.work = inFlight[worker]?.pull.work ?? flight.pull.work
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
