// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// Scripts' spawns, in each way that there is.
extension LifeStage {
    func spawn(_ script: Script, in context: TaskContext) async throws {
        var streams: Set<Script.Kind> = []
        var previous: TaskID?
        for number in script.spawns {
            let child = try world.script(number)
            do {
                switch child.way {
                case .child, .sibling: try spawn(child, in: context, child.kind.swiftType)
                case .now: previous = try await spawnNow(child, after: previous, in: context, child.kind.swiftType)
                case .stream:
                    guard streams.insert(child.kind).inserted else { continue }
                    try await stream(script, in: context, child.kind.swiftType)
                }
            } catch let error as SchedulerError where error.code == .notRegistered || error.code == .noParent {
                if !isDead { world.skipped(number, by: context.id) }
            }
        }
    }

    private func spawn<Kind: LifeKind>(
        _ script: Script, in context: TaskContext, _ kind: Kind.Type
    ) throws(SchedulerError) {
        let task = LifeTask<Kind>(script)
        if script.way == .child { return try context.spawnChild(task, options: script.options) }
        var options = script.options
        if script.waits, context.parent != .none {
            options.dependencies = [TaskDependency(context.id, parent: context.parent)]
        }
        try context.spawnSibling(task, options: options)
    }

    private func spawnNow<Kind: LifeKind>(
        _ script: Script, after previous: TaskID?, in context: TaskContext, _ kind: Kind.Type
    ) async throws -> TaskID? {
        var options = script.options
        if script.waits, let previous { options.dependencies = [TaskDependency(previous, parent: context.id)] }
        let task = LifeTask<Kind>(script)
        guard script.isSaved else { return try await context.spawnNow(task, options: options).id }
        let saved = try context.savedState(as: Int.self, named: "now") ?? 0
        if saved >= script.number { return previous }
        return try await context.spawnNow(contentsOf: [task], saving: script.number, named: "now", options: options)[0]
            .id
    }

    private func stream<Kind: LifeKind>(
        _ script: Script, in context: TaskContext, _ kind: Kind.Type
    ) async throws {
        let scripts = try script.spawns.map(world.script).filter { $0.way == .stream && $0.kind == Kind.kind }
        let tasks = AsyncStream<LifeTask<Kind>> { continuation in
            for script in scripts { continuation.yield(LifeTask(script)) }
            continuation.finish()
        }
        do {
            try await context.spawnChildren(
                from: tasks, named: Kind.kind.rawValue, chunk: 1 + script.number % 2,
                pendingLimit: script.number % 3 == 0 ? 1 : nil)
        } catch let error as SchedulerError where error.code == .notRegistered {
            for script in scripts where !isDead { world.skipped(script.number, by: context.id) }
        }
    }
}
