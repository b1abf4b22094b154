// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What outlives a process, and what does not.
extension LifeReference {
    /// The process has died.
    mutating func die() {
        for id in tasks.keys {
            if tasks[id]?.isStarted == true, tasks[id]?.outcome == nil { tasks[id]?.crashes += 1 }
        }
        hasCrashed = true
        forgetCalls()
    }

    /// The process is no more.
    mutating func forgetCalls() {
        for id in tasks.keys {
            tasks[id]?.isRunning = false
            tasks[id]?.isStarted = false
            tasks[id]?.endedHere = false
        }
        concurrency = [:]
        rates = [:]
        retries = 0
    }

    /// A process begins, with what the store has.
    mutating func begin(_ view: LifeView) {
        let wasClean = !hasCrashed
        hasCrashed = false
        // What the process before left has been looked at.
        hasStalled = false
        for entry in view.live { resume(entry.id, view.details[entry.id] ?? LiveTasks.Detail(), wasClean) }
        for entry in view.live where tasks[entry.id]?.mustCancel == true && !isDoomed(entry.id) {
            report("the cancel of \(describe(entry.id)) is lost")
        }
        let shown = Set(view.live.map(\.id))
        for id in live.subtracting(shown) where tasks[id]?.isSeen != true { forget(id) }
        endedBefore = UInt64(tasks.values.count { $0.outcome != nil })
    }

    private mutating func resume(_ id: TaskID, _ detail: LiveTasks.Detail, _ wasClean: Bool) {
        guard var record = tasks[id] else { return }
        if detail.phase == TaskPhase.executing, record.hasReturned {
            record.hasReturned = false
            if record.kind?.isBranch == true { record.failures = record.executeFailures }
        }
        record.hasFinalized = false
        record.isAsked = detail.cancel != nil
        // Those that a failed execute has left wait for their children alone.
        if detail.phase == TaskPhase.failed {
            record.failures = 0
        } else {
            let isWrong = wasClean ? detail.attempts != record.failures : detail.attempts > record.failures
            if isWrong, countsAttempts, record.isSeen {
                report("\(describe(id)) was tried \(record.failures) times, and begins with \(detail.attempts)")
            }
            if detail.attempts < record.durableFailures { report("\(describe(id)) has lost an attempt") }
            if countsAttempts, record.isSeen, detail.attempts > 0, detail.attempts == record.failures,
                detail.notBefore < record.notBefore
            {
                let (found, wanted) = (detail.notBefore.rawValue, record.notBefore.rawValue)
                report("the next attempt of \(describe(id)) is due at \(found), before \(wanted)")
            }
            record.failures = detail.attempts
            record.durableFailures = detail.attempts
            record.notBefore = detail.notBefore
            record.failure = nil
        }
        tasks[id] = record
    }

    /// A task that a handler had, and that the store never had.
    private mutating func forget(_ id: TaskID) {
        live.remove(id)
        if tasks[id]?.isSeen != true { tasks[id] = nil }
    }
}
