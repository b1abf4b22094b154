// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What users ask of a scheduler.
extension LifeModel {
    // MARK: - Submit

    /// Writes a tree's scripts; the first is the root's.
    private mutating func write() -> Script {
        let scripts = writer.tree()
        world.with { reference in for script in scripts { reference.scripts[script.number] = script } }
        return scripts[0]
    }

    private mutating func dependencies() -> [TaskDependency] {
        guard random.chance(1, in: 4) else { return [] }
        let known = world.with { reference in
            reference.tasks.filter { $0.value.isSeen && !$0.value.isDropped }.map { ($0.key, $0.value.parent) }
        }
        let recent = known.sorted { $0.0 < $1.0 }.suffix(30)
        if recent.isEmpty { return [] }
        let wanted = (0...random.below(2)).map { _ in random.pick(recent) }
        return wanted.map { TaskDependency($0.0, parent: $0.1) }
    }

    mutating func submit() async throws {
        var script = write()
        script.options.dependencies = dependencies()
        let changed = script
        world.with { $0.scripts[changed.number] = changed }
        note("\(script.number) \(script.kind)")
        try await submit([script], script.kind.swiftType)
    }

    mutating func submitMany() async throws {
        var scripts: [Script] = []
        for _ in 0...random.below(4) {
            var script = write()
            script.kind = .leaf
            script.spawns = []
            script.options = scripts.first?.options ?? script.options
            if script.options.onDuplicate == .reject { script.options.onDuplicate = .skip }
            script.options.key = random.coin() ? random.pick(ScriptWriter.keys) : nil
            scripts.append(script)
        }
        let changed = scripts
        world.with { reference in for script in changed { reference.scripts[script.number] = script } }
        note(scripts.map { "\($0.number)" }.joined(separator: "+"))
        try await submit(scripts, Leaf.self)
    }

    private mutating func submit<Kind: LifeKind>(_ scripts: [Script], _ kind: Kind.Type) async throws {
        let options = scripts[0].options
        let keys = Dictionary(uniqueKeysWithValues: scripts.map { ($0.number, $0.options.key) })
        let holders = try scripts.map { try holder(of: $0, kind) }
        world.with { reference in for script in scripts { reference.uncertainRoots[script.number, default: 0] += 1 } }
        func settled() {
            world.with { reference in for script in scripts { reference.uncertainRoots[script.number] = nil } }
        }
        let handles: [TaskHandle<LifeTask<Kind>>]
        do {
            handles =
                scripts.count == 1
                ? [try await process.scheduler.submit(LifeTask<Kind>(scripts[0]), options: options)]
                : try await process.scheduler.submit(contentsOf: scripts.map { LifeTask<Kind>($0) }, options: options) {
                    keys[$0.number] ?? nil
                }
        } catch {
            switch error.code {
            case .notRegistered where Kind.kind == .rare: settled()
            case .duplicateKey where options.onDuplicate == .reject && holders[0] != nil: settled()
            default: throw error
            }
            return
        }
        settled()
        for (script, handle) in zip(scripts, handles) { note(script, handle.id, handle.submission) }
        if scripts.count == 1 { checkSubmission(of: scripts[0], handles[0].submission, holder: holders[0]) }
    }

    private func holder<Kind: LifeKind>(of script: Script, _ kind: Kind.Type) throws -> TaskID? {
        guard let key = script.options.key, Kind.kind != .rare || world.with({ $0.knowsRare }) else { return nil }
        return try process.scheduler.handle(forKey: key, of: LifeTask<Kind>.self)?.id
    }

    private func note(_ script: Script, _ id: TaskID, _ submission: Submission?) {
        world.with { reference in
            switch submission {
            case .inserted, .replaced: reference.submitted(id, script.number)
            default: break
            }
        }
    }

    private func checkSubmission(of script: Script, _ submission: Submission?, holder: TaskID?) {
        let isRight =
            switch submission {
            case .inserted: holder == nil
            case .replaced(let old): holder == old && script.options.onDuplicate == .replace
            case .duplicate, .upgraded: holder != nil && script.options.onDuplicate != .replace
            default: false
            }
        if !isRight {
            world.report("script \(script.number) was \(submission as Any), and \(holder as Any) had its key")
        }
    }

    mutating func submitGraph() async throws {
        var graph = TaskGraph()
        var scripts: [Script] = []
        for index in 0...random.below(3) {
            var script = write()
            script.kind = .leaf
            script.spawns = []
            script.waits = index > 0
            script.options.key = nil
            let after = scripts.filter { _ in random.coin() }.map { "\($0.number)" }
            graph.add("\(script.number)", LifeTask<Leaf>(script), after: after, options: script.options)
            scripts.append(script)
        }
        let changed = scripts
        note(scripts.map { "\($0.number)" }.joined(separator: ">"))
        world.with { reference in
            for script in changed {
                reference.scripts[script.number] = script
                reference.uncertainRoots[script.number, default: 0] += 1
            }
        }
        let submission = try await process.scheduler.submit(graph)
        world.with { reference in
            for script in changed {
                reference.uncertainRoots[script.number] = nil
                if let id = submission.id("\(script.number)") { reference.submitted(id, script.number) }
            }
        }
    }

    // MARK: - Cancel

    private mutating func anyLive() -> TaskID? {
        let live = world.with { $0.live.sorted() }
        return live.isEmpty ? nil : random.pick(live)
    }

    mutating func cancel() async throws {
        guard let id = anyLive() else { return }
        note("\(id)")
        try await asking([id]) { (scheduler) async throws(SchedulerError) in try await scheduler.cancel(id) }
    }

    /// Has a cancel of tasks asked for. Of one that finds no space only what the store has taken counts.
    private func asking(
        _ ids: [TaskID], _ cancel: (TaskScheduler) async throws(SchedulerError) -> Bool
    ) async throws {
        let new = world.with { reference in
            let new = ids.filter { reference.tasks[$0]?.isAsked == false }
            for id in new { reference.tasks[id]?.isAsked = true }
            return new
        }
        do {
            if try await cancel(process.scheduler) { world.with { $0.cancelled(ids) } }
        } catch {
            if error.cause?.isTransient == true {
                let live = process.core.store.liveTasks()
                world.with { reference in
                    for id in new where live.details[id]?.cancel == nil { reference.tasks[id]?.isAsked = false }
                }
            }
            throw error
        }
    }

    mutating func cancelMany() async throws {
        let live = world.with { $0.live }
        func meant(_ isMeant: (Script) -> Bool) -> [TaskID] {
            world.with { reference in live.filter { reference.script(of: $0).map(isMeant) ?? true }.sorted() }
        }
        switch random.below(6) {
        case 0:
            let group = random.pick(ScriptWriter.groups)
            note(group)
            try await asking(meant { $0.group == group }) { (scheduler) async throws(SchedulerError) in
                try await scheduler.cancelAll(group: group)
                return true
            }
        case 1:
            let tag = random.pick(["t", "t/1", "u"])
            note(tag)
            try await asking(meant { $0.options.tags.contains { $0.hasPrefix(tag) } }) {
                (scheduler) async throws(SchedulerError) in
                try await scheduler.cancelAll(tagPrefix: tag)
                return true
            }
        case 2:
            let kind = random.pick(Script.Kind.allCases)
            note(kind.rawValue)
            try await asking(meant { $0.kind == kind }) { (scheduler) async throws(SchedulerError) in
                try await scheduler.cancelAll(of: kind.type)
                return true
            }
        case 3:
            note("odd")
            try await asking(meant { $0.group == nil && $0.options.tags.isEmpty }) {
                (scheduler) async throws(SchedulerError) in
                try await scheduler.cancel { $0.group == nil && $0.tags.isEmpty }
                return true
            }
        case 4:
            let key = random.pick(ScriptWriter.keys)
            guard let id = try process.scheduler.handle(forKey: key, of: LifeTask<Leaf>.self)?.id else { return }
            note(key)
            try await asking([id]) { (scheduler) async throws(SchedulerError) in
                try await scheduler.cancel(key: key, of: LifeTask<Leaf>.self)
                return true
            }
        default:
            guard random.chance(1, in: 3) else { return }
            note("all")
            try await asking(live.sorted()) { (scheduler) async throws(SchedulerError) in
                try await scheduler.cancelAll()
                return true
            }
        }
    }

    mutating func setPriority() async throws {
        guard let id = anyLive() else { return }
        let priority: UInt8 = random.pick([10, 60, 250])
        note("\(id) \(priority)")
        world.with { $0.tasks[id]?.priority = nil }
        if try await process.scheduler.setPriority(priority, of: id) {
            world.with { $0.tasks[id]?.priority = priority }
        }
    }
}
