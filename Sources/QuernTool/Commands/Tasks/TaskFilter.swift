// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// Which tasks are wanted.
struct TaskFilter: ParsableArguments {
    @Option(help: "Only tasks in this state; several times for several. A state of ended tasks shows these.")
    var state: [TaskState] = []
    @Option(help: "Only tasks of this type; with * at the end of all types that begin so.")
    var type: String?
    @Option(help: "Only tasks of this group.")
    var group: String?
    @Option(help: "Only tasks with this tag; with * at the end with a tag that begins so.")
    var tag: String?
    @Option(help: "Only children of this task; 0 for root tasks.")
    var parent: TaskID?
    @Option(help: "Only tasks that were spawned, or of ended ones that ended, longer ago: 30s, 15m, 2h, 3d, 4w.")
    var olderThan: AgeArgument?
    @Option(help: "Only tasks that were spawned, or of ended ones that ended, since then: 30s, 15m, 2h, 3d, 4w.")
    var newerThan: AgeArgument?

    func wants(_ task: ListedTask, now: Timestamp) -> Bool {
        let time = task.endedAt ?? task.submittedAt ?? now
        if let olderThan, time > olderThan.before(now) { return false }
        if let newerThan, time < newerThan.before(now) { return false }
        if let type, !Self.matches(task.type, type) { return false }
        if let group, task.group != group { return false }
        if let tag, !task.tags.contains(where: { Self.matches($0, tag) }) { return false }
        if let parent, task.parent != parent { return false }
        return state.isEmpty || state.contains(task.state)
    }

    static func matches(_ text: String, _ pattern: String) -> Bool {
        pattern.last == "*" ? text.utf8.starts(with: pattern.utf8.dropLast()) : text == pattern
    }
}
