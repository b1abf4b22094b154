// SPDX-License-Identifier: Apache-2.0
import DequeModule
import QuernStore

extension Dispatcher {
    /// A batch changed this parent: its children were spawned or ended, or it moved on itself.
    mutating func touched(_ status: ParentStatus) {
        guard var parent = waiting[status.id] else { return touchedEarly(status) }
        guard parent.state == .waiting else { return }
        let isCancelled = isDoomed(parent.id, parent: parent.run.parent)
        parent.firstFailure = status.firstFailure
        waiting[status.id] = parent
        // Without a handler nobody knows what failures of children mean: they are borne until there is one.
        let policy = facts(of: parent.run.label)?.policy ?? .tolerate
        let kept = keptChildren[status.id] ?? 0
        switch ParentResolution.decide(status, policy: policy, isCancelled: isCancelled, kept: kept) {
        case .wait: break
        case .finalize: decide(parent, fails: false)
        case .endFailed: decide(parent, fails: true)
        case .endCancelled:
            doomed.insert(parent.id)
            enqueueCancel(of: parent)
        case .cancelChildren: cancelChildren(of: parent.id, isCancelled: isCancelled || status.cancelRequested)
        }
    }

    /// - Parameter isCancelled: whether the parent is to be cancelled itself, rather than to fail.
    mutating func cancelChildren(of parent: TaskID, isCancelled: Bool) {
        if isCancelled {
            cancel([parent])
        } else {
            cancelChildren(ofFailing: parent)
        }
    }

    /// A parent's end is decided: a worker has to bring it about.
    mutating func decide(_ parent: WaitingParent, fails isFailed: Bool) {
        var parent = parent
        parent.state = .decided
        waiting[parent.id] = parent
        if isDoomed(parent.id, parent: parent.run.parent) { return enqueueCancel(of: parent) }
        if isFailed { return fails.append(parent) }
        // Without a handler it waits for one, as it is, or to be cancelled.
        guard facts(of: parent.run.label) != nil else {
            heldParents.insert(parent.id)
            return
        }
        enqueue(parent.ready, finalizes: true)
    }

    mutating func enqueueCancel(of parent: WaitingParent) {
        waiting[parent.id]?.state = .decided
        enqueueCancel(parent.ready)
    }

    mutating func finishedFinalize(_ parent: WaitingParent, _ report: PullReport) {
        if report.givenBack != 0 { return decide(parent, fails: false) }
        if report.cancelled != 0 { return enqueueCancel(of: parent) }
        guard let retry = report.retries.first else { return forget(parent.ready) }
        var parent = parent
        parent.attempts = retry.attempts
        waiting[parent.id] = parent
        if isDoomed(parent.id, parent: parent.run.parent) { return enqueueCancel(of: parent) }
        delay(.finalize(parent.id), until: retry.notBefore)
    }

    /// Tasks got their outcome, some of which may have been parents: nothing will be heard of them any more.
    mutating func forget(_ entry: ReadyRun) {
        if !waiting.isEmpty || !failing.isEmpty || !early.isEmpty {
            for index in BitIndexes(entry.bits) {
                waiting[entry.run.id(at: index)] = nil
                heldParents.remove(entry.run.id(at: index))
                early[entry.run.id(at: index)] = nil
                failing.remove(entry.run.id(at: index))
            }
        }
        ended(entry)
    }

    /// Tasks that are no parents got their outcome.
    mutating func ended(_ entry: ReadyRun) {
        if entry.group != 0 { limiters.groups.count(-entry.count, in: entry.group) }
        if !deadlines.isEmpty { deadlines.remove(entry.bits, of: entry.run.firstID) }
        if !keptChildren.isEmpty, entry.bits != 0 { keptChildren[entry.run.firstID] = nil }
        guard !doomed.isEmpty || !priorities.isEmpty else { return }
        for index in BitIndexes(entry.bits) {
            forgetRequests(of: entry.run.id(at: index))
        }
    }

    /// The outcomes of tasks are stored that requests had named. Those may have been stored between the end of a task
    /// and its outcome, when it was forgotten already.
    mutating func settled(_ tasks: [TaskID]) {
        for task in tasks { forgetRequests(of: task) }
    }

    private mutating func forgetRequests(of task: TaskID) {
        if doomed.remove(task) != nil { cancelKinds[task] = nil }
        priorities[task] = nil
    }
}
