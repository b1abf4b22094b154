// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What handlers tell, and what must be so when they are called.
extension LifeReference {
    mutating func began(_ call: LifeCall) {
        name(call.id, call.script.number)
        var record = tasks[call.id] ?? LifeRecord()
        if !record.isSeen {
            record.parent = call.parent
            record.kind = call.script.kind
            record.submittedAt = call.submittedAt
            live.insert(call.id)
        }
        // It returned, and what came of it could not be stored.
        if !call.finalizes, record.hasReturned, hasStalled, call.script.kind.isBranch {
            record.hasReturned = false
            record.failures = record.executeFailures
        }
        check(call, record)
        // Its execute has committed before, and its attempts count anew.
        if call.finalizes, !record.isAdvanced {
            record.isAdvanced = true
            record.failures = 0
        }
        // One that was cut short began never, for a process that begins before it.
        record.firstStart = min(record.firstStart ?? call.now, call.now)
        record.isRunning = true
        record.isStarted = true
        tasks[call.id] = record
        checkLimits(call)
    }

    private mutating func check(_ call: LifeCall, _ record: LifeRecord) {
        func isWrong(_ what: String) { report("\(call) although \(what)") }
        if record.outcome != nil { isWrong("it has ended") }
        if record.isRunning { isWrong("another call is under way") }
        if record.mustCancel { isWrong("it was to be cancelled before") }
        if call.finalizes {
            if !record.hasReturned, !record.isAdvanced, call.attributes.redrives == nil {
                isWrong("execute has not returned")
            }
            if record.hasFinalized, !hasStalled { isWrong("finalize has returned") }
            if call.liveChildren > 0 { isWrong("\(call.liveChildren) children live") }
        } else {
            if record.isAdvanced || record.hasReturned && !hasStalled { isWrong("execute has returned") }
            if call.attributes.redrives != nil { isWrong("it redrives another") }
            if !call.isFree { isWrong("what it waits for has not ended") }
            checkStart(call)
        }
        // One that was interrupted at the moment when it failed may have been given back.
        let isRepeated = !countsAttempts && call.attempt <= record.failures
        if call.now < record.notBefore, !isRepeated {
            isWrong("its next attempt is due at \(record.notBefore.rawValue)")
        }
        let next = record.failures + 1
        if countsAttempts ? call.attempt != next : call.attempt > next || call.attempt + 1 < next {
            isWrong("\(record.failures) attempts failed")
        }
        if let scope = isHeldBack(call.script, at: call.now) { isWrong("\(scope) is paused") }
    }

    /// Delayed tasks do not start early.
    private mutating func checkStart(_ call: LifeCall) {
        // Those that are run again start at once.
        guard case .after(let delay)? = call.script.options.start, call.attributes.start != nil,
            let submitted = call.submittedAt
        else { return }
        if max(call.now, latest) < submitted.advanced(by: delay) { report("\(call) too early") }
    }

    private mutating func checkLimits(_ call: LifeCall) {
        for scope in call.script.scopes() {
            if let most = concurrency[scope], running(in: scope) > most {
                report("\(call) is beyond \(most) of \(scope) at a time")
            }
            guard var bucket = rates[scope] else { continue }
            if bucket.available(at: call.now) < 1 { report("\(call) is beyond the rate of \(scope)") }
            bucket.take(1, at: call.now)
            rates[scope] = bucket
        }
    }

    mutating func returned(_ call: LifeCall) {
        tasks[call.id]?.isRunning = false
        // What cannot be stored is as an error, which does not count when the call was cut short.
        if (call.finalizes ? call.script.finalize : call.script.execute).ending == .unencodable { return }
        if call.finalizes {
            tasks[call.id]?.hasFinalized = true
        } else {
            tasks[call.id]?.hasReturned = true
            if !call.script.kind.isBranch { return }
            tasks[call.id]?.executeFailures = call.attempt - 1
            tasks[call.id]?.failures = 0
            tasks[call.id]?.durableFailures = 0
            tasks[call.id]?.notBefore = Timestamp(milliseconds: .min)
        }
    }

    /// - Parameter isCut: whether the call was cut short, so that it does not count.
    mutating func threw(_ call: LifeCall, _ error: any Error, isCut: Bool) {
        tasks[call.id]?.isRunning = false
        if isCut || isDoomed(call.id) { return }
        let retry = call.script.retry
        if error is PermanentError || retry.maximumAttempts <= 1 {
            tasks[call.id]?.failure = (.failed, call.attempt)
        } else if call.attempt >= retry.maximumAttempts {
            tasks[call.id]?.failure = (.deadLettered, call.attempt)
        } else {
            let delay = (error as? LifeDelay)?.retryAfter ?? retry.firstDelay
            tasks[call.id]?.failures = call.attempt
            tasks[call.id]?.notBefore = call.now.advanced(by: delay)
            retries += 1
        }
    }

    /// `finalize` sees all children, each once, in the order of their ends, and the same each time.
    mutating func sawChildren(_ call: LifeCall, _ outcomes: [LifeOutcome]) {
        let ids = outcomes.map(\.id)
        if let before = tasks[call.id]?.finalizeSaw, before != ids {
            report("\(call) sees \(ids), and saw \(before) before")
        }
        if !zip(outcomes, outcomes.dropFirst()).allSatisfy({ $0.sequence < $1.sequence }) {
            report("\(call) sees \(outcomes.map(\.sequence)) out of order")
        }
        if Set(ids).count != ids.count { report("\(call) sees a child twice: \(ids)") }
        tasks[call.id]?.finalizeSaw = ids
    }
}
