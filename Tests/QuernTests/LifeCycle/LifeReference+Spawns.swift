// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// Spawned with the spawner's commit or not at all, and once (T6, T12a).
extension LifeReference {
    /// Children of an ended task that run again when it is redriven.
    func reruns(of old: TaskID) -> [LifeOutcome] {
        let stopped = isFailing(old)
        return (tasks[old]?.children ?? []).filter { $0.kind.isFailure || (stopped && $0.kind == .cancelled) }
    }

    /// The ended task that a task redrives, that which it had redriven, and so on.
    func redriven(by id: TaskID) -> [TaskID] {
        var redriven: [TaskID] = []
        var next = tasks[id]?.redrives
        while let current = next {
            redriven.append(current)
            next = tasks[current]?.redrives
        }
        return redriven
    }

    /// What a task redrives that takes the place of an ended one: that one, or what it should have redriven itself; nil
    /// for one that is to run from the start.
    func redriven(inPlaceOf old: TaskID) -> TaskID? {
        tasks[old]?.outcome?.remains?.handover == nil ? tasks[old]?.redrives : old
    }

    /// Whether a task has the place of one below the task that its parent redrives.
    func isRerunChild(_ id: TaskID) -> Bool {
        guard let record = tasks[id], let old = tasks[record.parent]?.redrives else { return false }
        return reruns(of: old).contains { outcome in
            let number = tasks[outcome.id]?.number
            return number == nil || number == record.number
        }
    }

    /// What `finalize` of a task is to see: its children, and before them those of the task that it redrives.
    func wholeChildren(of id: TaskID) -> [TaskID] {
        let own = (tasks[id]?.children ?? []).map(\.id)
        guard let old = tasks[id]?.redrives else { return own }
        let again = Set(reruns(of: old).map(\.id))
        return wholeChildren(of: old).filter { !again.contains($0) } + own
    }

    /// A new task has a reason to be.
    mutating func checkOrigin(of id: TaskID) {
        guard let script = script(of: id), let record = tasks[id] else { return }
        let parent = record.parent
        if parent == .none { return checkRoot(id, script) }
        if let same = instances[instance(id)], same.count > most(of: script, below: parent) {
            report(
                "\(describe(id)) was spawned \(same.count) times: \(same), "
                    + "as \(script.way) of script \(script.spawner ?? 0)"
            )
        }
        if isRerunChild(id) {
            return checkRedriven(id)
        }
        switch script.way {
        case .child:
            guard tasks[parent]?.number == script.spawner else {
                return report("\(describe(id)) is below another than script \(script.spawner ?? 0)")
            }
            if tasks[parent]?.isAdvanced != true, tasks[parent]?.isBlurred != true {
                report("\(describe(id)) is there before its parent's execute has committed")
            }
        case .now, .stream:
            if tasks[parent]?.number != script.spawner { report("\(describe(id)) is below the wrong parent") }
        case .sibling:
            let spawners = instances[Instance(parent: parent, number: script.spawner ?? 0)] ?? []
            let hasCommitted = spawners.contains { spawner in
                guard let record = tasks[spawner] else { return false }
                return record.isAdvanced || record.isBlurred || record.outcome?.kind == .completed
            }
            if !hasCommitted { report("\(describe(id)) is there without its spawner \(spawners)") }
        }
    }

    /// Whether it, or what spawns it, may be spawned once more by another attempt.
    private func mayRepeat(_ script: Script) -> Bool {
        if script.mayRepeat { return true }
        guard script.way == .sibling, let spawner = script.spawner.flatMap({ scripts[$0] }) else { return false }
        return mayRepeat(spawner)
    }

    /// How often a script may be followed below a task.
    private func most(of script: Script, below parent: TaskID) -> Int {
        if mayRepeat(script) { return .max }
        guard let old = tasks[parent]?.redrives else { return 1 }
        let again = reruns(of: old)
        return max(1, again.count { tasks[$0.id]?.number == script.number }) + repeats(of: script, below: old)
    }

    /// How often what redrives a task spawns a script anew that runs again by itself, too: a spawner that was cancelled
    /// after its execute had committed, here or in a tree that was redriven before, begins anew.
    private func repeats(of script: Script, below old: TaskID) -> Int {
        guard script.way == .sibling, let spawner = script.spawner.flatMap({ scripts[$0] }) else { return 0 }
        let hasSpawned = ([old] + redriven(by: old)).contains { tree in
            tasks[tree]?.children.contains {
                tasks[$0.id]?.number == spawner.number && tasks[$0.id]?.isAdvanced == true
            } ?? false
        }
        let anew = reruns(of: old).count {
            hasSpawned && tasks[$0.id]?.number == spawner.number && redriven(inPlaceOf: $0.id) == nil
        }
        return anew + repeats(of: spawner, below: old)
    }

    /// A child that runs again redrives the old one when that had come to its own children, and else runs anew.
    private mutating func checkRedriven(_ id: TaskID) {
        guard let record = tasks[id], let above = tasks[record.parent]?.redrives else { return }
        let olds = reruns(of: above).filter { record.number != nil && tasks[$0.id]?.number == record.number }
        var allowed = olds.map { redriven(inPlaceOf: $0.id) }
        if let script = script(of: id), repeats(of: script, below: above) > 0 { allowed.append(nil) }
        if record.outcome == nil, !olds.isEmpty, !allowed.contains(record.redrives) {
            report("\(describe(id)) redrives \(record.redrives as Any), not \(allowed)")
        }
        if record.outcome != nil, record.redrives == nil { tasks[id]?.redrives = allowed.first ?? nil }
    }

    private mutating func checkRoot(_ id: TaskID, _ script: Script) {
        if script.spawner != nil { return report("\(describe(id)) is a root task") }
        if knownRoots.contains(id) { return }
        guard let count = uncertainRoots[script.number], count > 0 else {
            return report("\(describe(id)) was submitted by nobody")
        }
        uncertainRoots[script.number] = count - 1
        knownRoots.insert(id)
    }

    /// What has committed has spawned all that it was to spawn.
    mutating func checkSpawns(of ids: Set<TaskID>) {
        for id in ids.sorted() {
            checkReruns(of: id)
            guard let record = tasks[id], let script = script(of: id), record.redrives == nil, !record.isDropped,
                record.isAdvanced || (record.outcome?.kind == .completed)
            else { continue }
            for number in script.spawns where !record.skipped.contains(number) {
                guard let child = scripts[number] else { continue }
                let place = child.way == .sibling ? record.parent : id
                if instances[Instance(parent: place, number: number)]?.isEmpty == false { continue }
                if place == .none || tasks[place]?.isDropped == true || isExcused(child, at: place, script) { continue }
                report("\(describe(id)) has committed, and script \(number) was not spawned below \(place)")
            }
        }
    }

    /// What redrives another has spawned all that failed below that.
    private mutating func checkReruns(of id: TaskID) {
        guard let record = tasks[id], record.isAdvanced, let old = record.redrives, !record.isDropped else { return }
        for outcome in reruns(of: old) {
            guard let number = tasks[outcome.id]?.number, instances[Instance(parent: id, number: number)] == nil,
                !tasks.contains(where: { $0.value.parent == id && $0.value.number == nil })
            else { continue }
            report("\(describe(id)) redrives \(old), and nothing takes the place of \(describe(outcome.id))")
        }
    }

    /// Whether something else may have had its key, or it may be among those that have no name.
    private func isExcused(_ child: Script, at place: TaskID, _ spawner: Script) -> Bool {
        let below = tasks.filter { $0.value.parent == place }
        if below.contains(where: { $0.value.number == nil }) { return true }
        guard let key = child.options.key else { return false }
        let beside = spawner.spawns.contains { $0 != child.number && scripts[$0]?.options.key == key }
        return beside || below.contains { $0.value.number.flatMap { scripts[$0]?.options.key } == key }
    }
}
