// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import Quern
@testable import QuernStore

/// What a store shows at one moment, in plain values.
struct LifeView: Sendable {
    struct Live: Sendable {
        var id: TaskID
        var run: SpawnRun
        var attributes: TaskAttributes?
    }

    var live: [Live] = []
    var details: [TaskID: LiveTasks.Detail] = [:]
    var statuses: [TaskID: ParentStatus] = [:]
    /// By the scripts' numbers, of tasks that the reference has no number for.
    var numbers: [TaskID: Int] = [:]
    /// Why attempts of live tasks failed.
    var errors: [TaskID: FailureInfo] = [:]
    /// Children that ended, behind those that the reference knows.
    var ended: [TaskID: [LifeOutcome]] = [:]
    /// Whether it shows all children of all tasks, from the first.
    var isWhole = false

    /// Blocking.
    ///
    /// - Parameter isWhole: whether to read everything again.
    init(of store: MemoStore, _ world: LifeWorld, touched: Set<TaskID>, isWhole: Bool) throws {
        self.isWhole = isWhole
        let tasks = store.liveTasks()
        details = tasks.details
        for status in tasks.parents { statuses[status.id] = status }
        for (id, detail) in details where detail.attempts > 0 {
            errors[id] = try store.kept(id, slot: TaskSlot.lastError).map(FailureInfo.init(decoding:))
        }
        var known: [TaskID: UInt64] = [:]
        var unnamed: Set<TaskID> = []
        let ids = tasks.runs.flatMap { entry in BitIndexes(entry.live).map { entry.run.id(at: $0) } }
        world.with { reference in
            for id in ids where reference.tasks[id]?.number == nil { unnamed.insert(id) }
            for (id, record) in reference.tasks where !record.isDropped {
                known[id] = record.children.last?.sequence ?? 0
            }
            known[.none] = reference.roots.last?.sequence ?? 0
        }
        for entry in tasks.runs {
            let bytes = tasks.attributes[entry.run.firstID] ?? []
            let attributes = bytes.isEmpty ? TaskAttributes() : try TaskAttributes(decoding: bytes)
            for index in BitIndexes(entry.live) {
                let id = entry.run.id(at: index)
                live.append(Live(id: id, run: entry.run, attributes: attributes))
                if unnamed.contains(id) { numbers[id] = try Self.number(of: entry.run, index, store) }
            }
        }
        let parents = isWhole ? Set(known.keys).union(ids) : touched
        for parent in parents {
            let children = try store.children(of: parent)
            let position = isWhole ? 0 : known[parent] ?? 0
            let new = try children.after(position).outcomes()
            if !new.isEmpty || isWhole { ended[parent] = new }
        }
    }

    private static func number(of run: SpawnRun, _ index: Int, _ store: MemoStore) throws -> Int? {
        var number: Int?
        try store.withPayloads(of: run, indexes: 1 << UInt64(index)) { _, bytes in number = lifeNumber(bytes) }
        return number
    }
}

/// Hears of each batch before the scheduler does, until the process dies: what it has heard is durable.
final class CommitSpy: CommitObserver {
    struct News: Sendable {
        var spawned: [(id: TaskID, parent: TaskID, label: Label, at: Timestamp)] = []
        var statuses: [TaskID: ParentStatus] = [:]
        var cancels: [(TaskID, OutcomeKind)] = []
    }

    private let core: SchedulerCore
    private let news = Mutex(News())
    private let isDeaf = Atomic(false)

    init(_ core: SchedulerCore) { self.core = core }

    func storeDidCommit(_ changes: CommitChanges) {
        news.withLock { news in
            // Under the lock, so that nothing is noted once somebody has taken the last news.
            if !isDeaf.load(ordering: .sequentiallyConsistent) { Self.note(changes, in: &news) }
        }
        core.storeDidCommit(changes)
    }

    func storeDidFail(_ error: StoreError) { core.storeDidFail(error) }

    private static func note(_ changes: CommitChanges, in news: inout News) {
        for run in changes.spawned {
            for index in BitIndexes(run.allBits & ~(changes.absent[run.firstID] ?? 0)) {
                news.spawned.append((run.id(at: index), run.parent, run.label, run.submittedAt))
            }
        }
        for status in changes.touched {
            var status = status
            status.phase = max(status.phase, news.statuses[status.id]?.phase ?? 0)
            news.statuses[status.id] = status
        }
        news.cancels += changes.cancels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    func take() -> News {
        news.withLock { news in
            defer { news = News() }
            return news
        }
    }

    func goDeaf() { news.withLock { _ in isDeaf.store(true, ordering: .sequentiallyConsistent) } }
}
