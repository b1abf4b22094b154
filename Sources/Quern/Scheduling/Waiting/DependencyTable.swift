// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tasks that wait for others to end (T16). A plain state machine.
///
/// It keeps an entry for the tasks of a run that came together, however many they are, and forgets a dependency when
/// it has ended.
struct DependencyTable: Sendable {
    /// What becomes of waiting tasks.
    enum Decision: Sendable, Equatable {
        /// All has ended that they wait for.
        case run
        case end(OutcomeKind)
    }

    struct Waiting: Sendable {
        var tasks: ReadyRun
        /// When they may start at the earliest, whatever they wait for.
        var startTime: Timestamp?
        var onFailure: DependencyPolicy
        var onCancel: DependencyPolicy
        /// Those that have not ended.
        fileprivate(set) var dependencies: [TaskID] = []

        init(_ tasks: ReadyRun, _ attributes: TaskAttributes) {
            self.tasks = tasks
            startTime = attributes.startTime(ofSpawnAt: tasks.run.submittedAt)
            onFailure = attributes.onDependencyFailure
            onCancel = attributes.onDependencyCancel ?? attributes.onDependencyFailure
        }

        /// - Parameter kind: nil when nobody knows how the dependency ended.
        /// - Returns: how the waiting tasks end; nil when it makes no difference to them.
        func verdict(on kind: OutcomeKind?) -> OutcomeKind? {
            if kind == .completed { return nil }
            switch kind?.isFailure ?? true ? onFailure : onCancel {
            case .fail: return .dependencyFailed
            case .cancel: return .cancelled
            case .ignore: return nil
            }
        }
    }

    /// Who waits for a task.
    private struct Waiters: Sendable {
        /// In the order of coming.
        var entries: [Int] = []
        /// How many of them wait no longer.
        var gone = 0
    }

    private var entries: [Int: Waiting] = [:]
    private var waiters: [TaskID: Waiters] = [:]
    private var nextNumber = 0

    var isEmpty: Bool { entries.isEmpty }

    /// Tasks that wait. O(entries).
    var count: Int { entries.values.reduce(0) { $0 + $1.tasks.count } }

    /// All that wait. For tests.
    var all: some Collection<Waiting> { entries.values }

    /// Has tasks wait for at least one other.
    ///
    /// - Returns: the dependencies that were not asked about yet.
    mutating func add(_ waiting: Waiting, for dependencies: [TaskDependency]) -> [TaskDependency] {
        var waiting = waiting
        waiting.dependencies = dependencies.map(\.task)
        nextNumber += 1
        entries[nextNumber] = waiting
        var new: [TaskDependency] = []
        for dependency in dependencies {
            if waiters[dependency.task] == nil { new.append(dependency) }
            waiters[dependency.task, default: Waiters()].entries.append(nextNumber)
        }
        return new
    }

    /// A task has ended.
    ///
    /// - Parameter kind: nil when nobody knows how.
    /// - Returns: the tasks that wait no longer, in the order of their coming.
    mutating func ended(_ task: TaskID, _ kind: OutcomeKind?) -> [(Waiting, Decision)] {
        var decided: [(Waiting, Decision)] = []
        for number in waiters.removeValue(forKey: task)?.entries ?? [] {
            guard var waiting = entries[number] else { continue }
            waiting.dependencies.removeAll { $0 == task }
            if let end = waiting.verdict(on: kind) {
                remove(number, waiting)
                decided.append((waiting, .end(end)))
            } else if waiting.dependencies.isEmpty {
                remove(number, waiting)
                decided.append((waiting, .run))
            } else {
                entries[number] = waiting
            }
        }
        return decided
    }

    /// Takes out the tasks that `select` names of each run. O(entries).
    mutating func remove(_ select: (ReadyRun) -> UInt64) -> [ReadyRun] {
        var removed: [ReadyRun] = []
        for number in entries.keys.sorted() {
            guard var waiting = entries[number] else { continue }
            let taken = waiting.tasks.take(select(waiting.tasks))
            guard taken.bits != 0 else { continue }
            removed.append(taken)
            if waiting.tasks.bits == 0 { remove(number, waiting) } else { entries[number] = waiting }
        }
        return removed
    }

    private mutating func remove(_ number: Int, _ waiting: Waiting) {
        entries[number] = nil
        // Who comes next asks anew: ends that nobody waits for are not told.
        if entries.isEmpty {
            waiters = [:]
            return
        }
        for task in waiting.dependencies {
            waiters[task]?.gone += 1
            guard let others = waiters[task], others.gone > others.entries.count / 2 + 8 else { continue }
            waiters[task] = Waiters(entries: others.entries.filter { entries[$0] != nil })
        }
    }

    /// Those of the dependencies that would end only after `parent` has ended, or one of its own parents: a child that
    /// waited for them would never start.
    ///
    /// A task ends after its children, and starts after what it waits for. So what waits for a task above also waits
    /// for the child, and so does everything above that.
    ///
    /// - Parameter parentOf: the parent of a task that waits for children.
    /// - Complexity: O(depth), and O(tasks that wait for one above) when there are such.
    func unreachable(
        _ dependencies: [TaskDependency], under parent: TaskID, _ parentOf: (TaskID) -> TaskID?
    ) -> [TaskID] {
        if parent == .none { return [] }
        var blocked: Set<TaskID> = []
        var unseen: [TaskID] = []
        func addAbove(_ task: TaskID) {
            var above: TaskID? = task
            while let next = above, next != .none, blocked.insert(next).inserted {
                unseen.append(next)
                above = parentOf(next)
            }
        }
        addAbove(parent)
        while let task = unseen.popLast() {
            for number in waiters[task]?.entries ?? [] {
                guard let waiting = entries[number] else { continue }
                for index in BitIndexes(waiting.tasks.bits) {
                    let id = waiting.tasks.run.id(at: index)
                    if blocked.insert(id).inserted { unseen.append(id) }
                }
                addAbove(waiting.tasks.run.parent)
            }
        }
        return dependencies.map(\.task).filter(blocked.contains)
    }
}
