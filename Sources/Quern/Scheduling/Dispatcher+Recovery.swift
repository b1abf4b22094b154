// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Dispatcher {
    /// Takes over the tasks that a store has when it is opened (T3, T4, T14): pending, delayed, waiting for
    /// children or to be cancelled, each as its durable state says.
    ///
    /// - Parameters:
    ///   - firstStarts: when the first attempts of tasks began whose time to live counts from it.
    ///   - wasClean: whether the last process closed the store; if not, one of the tasks may have killed it.
    mutating func recover(_ live: LiveTasks, firstStarts: [TaskID: Timestamp] = [:], wasClean: Bool) {
        // First what is to be cancelled, so that everything else finds its place.
        for status in live.parents where status.cancelRequested { doomed.insert(status.id) }
        for (id, detail) in live.details {
            priorities[id] = detail.priority
            guard let kind = detail.cancel else { continue }
            doomed.insert(id)
            if kind != .cancelled { cancelKinds[id] = kind }
        }
        // Ids grow from parent to child and the runs come in id order, so that a parent is known before its children.
        let executing = ExecutingParents(live.parents)
        for entry in live.runs {
            var ready = makeReady(entry.run, entry.live)
            let attributes = live.attributes[entry.run.firstID] ?? []
            let terms = attributes.isEmpty ? TaskAttributes() : read(attributes, into: &ready)
            if let limit = terms?.attemptLimit { recoverDeadlines(ready, limit, firstStarts) }
            recoverEarly(&ready, terms, executing, details: live.details)
            recover(ready, terms, details: live.details)
        }
        for status in live.parents { touched(status) }
        if !wasClean { carefulPulls = 4 * limits.concurrency }
    }

    /// - Parameters:
    ///   - attributes: nil when they cannot be understood.
    ///   - hasBegun: whether the tasks are known to have run before, so that they wait for nothing any more.
    mutating func recover(
        _ entry: ReadyRun, _ attributes: TaskAttributes?, hasBegun: Bool = false,
        details: [TaskID: LiveTasks.Detail]
    ) {
        var plain = entry
        if !details.isEmpty {
            for index in BitIndexes(entry.bits) {
                let id = entry.run.id(at: index)
                guard let detail = details[id] else { continue }
                var single = plain.take(1 << UInt64(index))
                single.attempts = detail.attemptsThatCount
                single.crashes = detail.crashes
                if detail.phase != TaskPhase.executing {
                    recoverParent(single, index, detail)
                } else if detail.notBefore > now, !isDoomed(id, parent: entry.run.parent), attributes != nil {
                    delay(.tasks(single), until: detail.notBefore)
                } else if detail.attempts == 0, !hasBegun, let attributes {
                    arrive(single, attributes, isNew: false)
                } else {
                    admit(single, isHeld: attributes == nil)
                }
            }
        }
        guard plain.bits != 0 else { return }
        if let attributes, !hasBegun {
            arrive(plain, attributes, isNew: false)
        } else {
            admit(plain, isHeld: attributes == nil)
        }
    }

    private mutating func recoverDeadlines(_ entry: ReadyRun, _ limit: Duration, _ firstStarts: [TaskID: Timestamp]) {
        if firstStarts.isEmpty { return }
        for index in BitIndexes(entry.bits) {
            guard let start = firstStarts[entry.run.id(at: index)] else { continue }
            deadlines.add(1 << UInt64(index), of: entry.run.firstID, due: start.advanced(by: limit))
        }
    }

    private mutating func recoverParent(_ entry: ReadyRun, _ index: Int, _ detail: LiveTasks.Detail) {
        var parent = WaitingParent(entry, index: index)
        parent.attempts = detail.attemptsThatCount
        parent.crashes = detail.crashes
        if cancelsChildren(of: entry.run.parent) { doomed.insert(parent.id) }
        if detail.notBefore > now, !doomed.contains(parent.id) {
            // Only `finalize` is tried in this phase, so that its children have ended.
            parent.state = .decided
            delay(.finalize(parent.id), until: detail.notBefore)
        }
        waiting[parent.id] = parent
    }
}

extension LiveTasks.Detail {
    /// More can follow: a store that was imported may say any number.
    fileprivate var attemptsThatCount: UInt32 { min(attempts, .max / 2) }
}
