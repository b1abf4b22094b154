// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// Each outcome has its reason.
extension LifeReference {
    mutating func checkEnd(of id: TaskID) {
        guard let record = tasks[id], let outcome = record.outcome else { return }
        for why in wrongs(with: outcome, of: id, record) {
            report("\(describe(id)) ended as \(outcome.kind) after \(outcome.attempts) attempts: \(why)")
        }
    }

    private func wrongs(with outcome: LifeOutcome, of id: TaskID, _ record: LifeRecord) -> [String] {
        var wrongs: [String] = []
        func isWrong(_ why: String) { wrongs.append(why) }
        if let late = record.children.last, late.sequence >= outcome.sequence { isWrong("before its child \(late.id)") }
        if record.mustCancel, isExact, !hasStalled, outcome.kind != record.cancelKind ?? .cancelled,
            outcome.kind != .expired || !isOver(id, at: outcome.endedAt), outcome.kind != .dependencyFailed
        {
            isWrong("it was to be cancelled (\(record.cancelKind as Any))")
        }
        if isExact, !hasStalled, let wanted = record.cancelKind, outcome.kind != wanted, wanted != .expired {
            if outcome.kind != .dependencyFailed, outcome.kind != .expired { isWrong("it was to end as \(wanted)") }
        }
        guard let script = script(of: id) else { return wrongs }
        checkHook(record, script, outcome, isWrong)
        switch outcome.kind {
        case .completed: checkCompleted(id, record, script, outcome, isWrong)
        case .failed, .deadLettered:
            if !isJust(outcome, of: id, record, script) {
                isWrong("\(outcome.failure), \(record.failure as Any), advanced: \(record.isAdvanced), \(script)")
            }
        case .cancelled:
            if !isDoomed(id), !dependencies(of: record, script, say: .cancel) { isWrong("nobody asked for that") }
        case .superseded:
            let isReplaced = tasks.contains { other, newer in
                guard other > id, newer.parent == record.parent, let rival = newer.number.flatMap({ scripts[$0] })
                else {
                    return false
                }
                return rival.options.key == script.options.key && rival.options.onDuplicate == .replace
            }
            if !isReplaced { isWrong("nothing took its key") }
        case .expired:
            // Asked for before the clock was set back, it may end behind that.
            if !isOver(id, at: max(outcome.endedAt, latest)) { isWrong("at \(outcome.endedAt.rawValue)") }
        case .dependencyFailed:
            if !dependencies(of: record, script, say: .fail) { isWrong("of \(record.dependencies)") }
        }
        return wrongs
    }

    private func isOver(_ id: TaskID, at time: Timestamp) -> Bool {
        if tasks[id]?.redrives != nil, script(of: id)?.options.timeToLive != nil { return true }
        return deadline(of: id).map { $0 <= time } ?? false
    }

    private func checkHook(
        _ record: LifeRecord, _ script: Script, _ outcome: LifeOutcome, _ isWrong: (String) -> Void
    ) {
        switch outcome.kind {
        case .completed, .failed, .deadLettered: return
        case .cancelled, .expired, .superseded, .dependencyFailed: break
        }
        if script.kind.isBranch, script.kind != .rare, !record.isHooked, !record.isBlurred {
            isWrong("its cancel hook was not called")
        }
        // What `execute` returned may have come behind the cancel, and counts as one more attempt of it then.
        let failures = record.isAdvanced ? record.failures : max(record.failures, record.executeFailures)
        if countsAttempts, outcome.attempts > failures + 1 { isWrong("\(failures) attempts failed") }
    }

    private func checkCompleted(
        _ id: TaskID, _ record: LifeRecord, _ script: Script, _ outcome: LifeOutcome, _ isWrong: (String) -> Void
    ) {
        if record.redrives == nil, script.execute.failure(under: script.retry) != nil { isWrong("execute fails") }
        if script.kind == .leaf {
            if outcome.attempts != script.execute.failures + 1 {
                isWrong("it is tried \(script.execute.failures + 1) times")
            }
            if !record.hasReturned, !record.isBlurred { isWrong("its handler has not returned") }
            return
        }
        if isFailing(id) { isWrong("children failed: \(OutcomeCounts(of: record.children))") }
        checkFinalized(id, record, isWrong)
        if script.finalize.failure(under: script.retry) != nil { isWrong("finalize fails") }
        // It also fails when its disk does.
        if outcome.attempts != max(script.finalize.failures, record.failures) + 1 {
            isWrong("of \(script.finalize.failures + 1), \(record.failures) failed")
        }
        let memo = try? BinaryCodec.decode(BranchMemo.self, from: outcome.value)
        let sum = wholeChildren(of: id).reduce(Int64(0)) { sum, child in
            guard let record = tasks[child], record.kind == .leaf, record.outcome?.kind == .completed else {
                return sum
            }
            return sum + Int64(record.number ?? 0)
        }
        if memo?.sum != sum { isWrong("its sum is \(memo?.sum ?? -1), not \(sum)") }
    }

    private func checkFinalized(_ id: TaskID, _ record: LifeRecord, _ isWrong: (String) -> Void) {
        guard let saw = record.finalizeSaw else {
            if !record.isBlurred { isWrong("finalize was not called") }
            return
        }
        if saw != wholeChildren(of: id) { isWrong("finalize saw \(saw) of \(wholeChildren(of: id))") }
    }

    /// Whether a task may have failed like this.
    private func isJust(
        _ outcome: LifeOutcome, of id: TaskID, _ record: LifeRecord, _ script: Script
    ) -> Bool {
        let failure = outcome.failure
        if failure.reason == "quarantined" {
            // It may have been noted as running, and not have come to it.
            return outcome.kind == .deadLettered && crashLimit > 0 && record.crashes + 1 >= crashLimit
        }
        if record.redrives != nil, failure.reason == "redriven tree is gone" {
            return redriven(by: id).contains { tasks[$0]?.isDropped == true }
        }
        if mayHaveLost, isOfDisk(failure) { return true }
        if script.kind.isBranch, isFailing(id), record.failure == nil || record.isAdvanced {
            let reason = script.kind == .failFast ? "child failed" : "failure budget exceeded"
            if outcome.kind == .failed, failure.reason == reason { return true }
        }
        if let known = record.failure, known == (outcome.kind, outcome.attempts) {
            return isNatural(outcome, script, record)
        }
        if record.isBlurred { return true }
        // The handler returned what could not be stored, or threw when it was not known yet that it had to.
        let part = record.isAdvanced ? script.finalize : script.execute
        guard part.ending == .unencodable || !isExact, let end = part.failure(under: script.retry) else { return false }
        return end == (outcome.kind, outcome.attempts)
    }

    /// Whether a handler failed because its disk did: it could not read its children, or one of those that it was to
    /// run again had lost what it takes.
    private func isOfDisk(_ failure: FailureInfo) -> Bool {
        failure.reason == "cannot be redriven" || "\(failure)".contains("the store failed: input/output")
            || failure.reason == "StoreError" && failure.detail.hasPrefix("input/output")
    }

    /// Whether the script says that as well, where it alone decides.
    private func isNatural(_ outcome: LifeOutcome, _ script: Script, _ record: LifeRecord) -> Bool {
        if script.spawns.contains(where: { scripts[$0]?.way == .stream }), !record.isAdvanced { return true }
        let part = record.isAdvanced ? script.finalize : script.execute
        return part.failure(under: script.retry).map { $0 == (outcome.kind, outcome.attempts) } ?? false
    }

    /// Whether something that a task waited for ended so that it was to end as `policy` says.
    private func dependencies(of record: LifeRecord, _ script: Script, say policy: DependencyPolicy) -> Bool {
        if record.isBlurred { return script.waits || !script.options.dependencies.isEmpty }
        let onFailure = script.options.onDependencyFailure ?? .fail
        let onCancel = script.options.onDependencyCancel ?? onFailure
        // What ended before anybody could look is not known here.
        if record.dependencies.isEmpty, script.waits { return onFailure == policy || onCancel == policy }
        let named = script.options.dependencies.map(\.task)
        return (record.dependencies.isEmpty ? named : record.dependencies).contains { task in
            guard let other = tasks[task], let kind = other.outcome?.kind else { return onFailure == policy }
            // It may have been asked for before its tree was dropped, or behind that.
            if other.isDropped, onFailure == policy { return true }
            if kind == .completed { return false }
            return (kind.isFailure ? onFailure : onCancel) == policy
        }
    }
}
