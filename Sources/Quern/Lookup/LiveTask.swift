// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A task without an outcome, as it was spawned: what tasks are chosen by.
public struct LiveTask: Sendable, Equatable {
    public internal(set) var id: TaskID
    /// ``TaskID/none`` for a root task.
    public internal(set) var parent: TaskID
    /// As it is registered today; the name in the store when it is not.
    public internal(set) var type: TaskType
    /// Lower goes first.
    public internal(set) var priority: UInt8
    public internal(set) var group: String?
    /// Sorted by their bytes.
    public internal(set) var tags: [String]
    public internal(set) var submittedAt: Timestamp

    /// Whether one of its tags begins like this.
    public func hasTag(withPrefix prefix: String) -> Bool { tags.contains { $0.hasPrefix(prefix) } }
}

/// The tasks without an outcome at one moment, in the order of their ids: a parent comes before its children.
struct LiveTaskWalk {
    let live: LiveTasks
    private let core: SchedulerCore
    /// Of the last run with attributes: most are alike.
    private var known: (bytes: [UInt8], attributes: TaskAttributes) = ([], TaskAttributes())

    init(_ core: SchedulerCore) {
        self.core = core
        live = core.store.liveTasks()
    }

    /// Calls `body` for each task, until it returns false.
    ///
    /// - Parameter skips: says of which parents no child is wanted.
    mutating func forEach(
        exceptBelow skips: (TaskID) -> Bool = { _ in false }, onSkip: (LiveTasks.Run) -> Void = { _ in },
        _ body: (LiveTask) -> Bool
    ) {
        for entry in live.runs {
            if skips(entry.run.parent) {
                onSkip(entry)
                continue
            }
            var task = describe(entry.run)
            for index in BitIndexes(entry.live) {
                task.id = entry.run.id(at: index)
                task.priority = live.details.isEmpty ? entry.run.priority : priority(of: task.id, in: entry.run)
                guard body(task) else { return }
            }
        }
    }

    private func priority(of id: TaskID, in run: SpawnRun) -> UInt8 { live.details[id]?.priority ?? run.priority }

    private mutating func describe(_ run: SpawnRun) -> LiveTask {
        let bytes = live.attributes[run.firstID] ?? []
        if bytes != known.bytes { known = (bytes, (try? TaskAttributes(decoding: bytes)) ?? TaskAttributes()) }
        return LiveTask(run, known.attributes, core.typeName(of: run.label))
    }
}

extension LiveTask {
    /// The first task of a run.
    init(_ run: SpawnRun, _ attributes: TaskAttributes, _ type: TaskType) {
        self.init(
            id: run.firstID, parent: run.parent, type: type, priority: run.priority, group: attributes.group,
            tags: attributes.tags, submittedAt: run.submittedAt)
    }
}
