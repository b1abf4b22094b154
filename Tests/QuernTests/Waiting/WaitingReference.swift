// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What becomes of root tasks that wait for times and for each other, worked out the simple way: one event after the
/// other, by looking at every task.
struct WaitingReference {
    static let retryDelay: Int64 = 700_000

    struct Expected {
        var options: TaskOptions
        /// Attempts that fail before the one that completes.
        var failures: UInt32
        var failsForGood: Bool
        var unmet: Set<TaskID> = []
        /// When it is tried next, once nothing is left that it waits for.
        var due: Int64?
        var startsAt: Int64 = .min
        var deadline: Int64?
        var attempts: UInt32 = 0
        var end: End?
    }

    struct End: Equatable {
        var kind: OutcomeKind
        var attempts: UInt32
        var at: Int64
    }

    var now: Int64
    var tasks: [TaskID: Expected] = [:]

    var ends: [TaskID: End] { tasks.compactMapValues(\.end) }
    var live: [TaskID] { tasks.filter { $0.value.end == nil }.keys.sorted() }
    var blocked: Int { tasks.values.count { $0.end == nil && !$0.unmet.isEmpty } }
    var delayed: Int { tasks.values.count { $0.end == nil && ($0.due ?? now) > now } }

    static func failures(of number: Int) -> UInt32 { UInt32(number % 4 == 3 ? number % 3 : 0) }
    static func failsForGood(_ number: Int) -> Bool { number % 7 == 0 }

    mutating func spawn(_ id: TaskID, number: Int, _ options: TaskOptions) {
        var task = Expected(
            options: options, failures: Self.failures(of: number), failsForGood: Self.failsForGood(number))
        switch options.start {
        case .at(let time)?: task.startsAt = time.rawValue
        case .after(let delay)?: task.startsAt = now + Int64(delay.wholeMilliseconds)
        case nil: break
        }
        if let life = options.timeToLive, life.basis == .submission {
            task.deadline = now + Int64(life.duration.wholeMilliseconds)
        }
        for dependency in options.dependencies {
            guard let end = tasks[dependency.task]?.end else {
                task.unmet.insert(dependency.task)
                continue
            }
            guard let kind = verdict(on: end.kind, options) else { continue }
            tasks[id] = task
            return self.end(id, kind)
        }
        tasks[id] = task
        if task.unmet.isEmpty { start(id) }
    }

    mutating func cancel(_ id: TaskID) { end(id, .cancelled) }

    mutating func advance(to time: Int64) {
        while let next = nextEvent, next <= time {
            now = max(now, next)
            for id in live {
                guard let task = tasks[id], task.end == nil else { continue }
                if let deadline = task.deadline, deadline <= now {
                    end(id, .expired)
                } else if let due = task.due, due <= now {
                    attempt(id)
                }
            }
        }
        now = time
    }

    /// No process has the store from now on until `time`.
    mutating func restart(at time: Int64) {
        now = time
        // All whose time is over end before anything is run.
        let overdue = live.filter { id in (tasks[id]?.deadline).map { $0 <= now } ?? false }
        for id in overdue {
            let attempts = tasks[id]?.attempts ?? 0
            tasks[id]?.end = End(kind: .expired, attempts: attempts, at: now)
        }
        for id in overdue { tellWaiters(of: id, .expired) }
        advance(to: time)
    }

    private var nextEvent: Int64? {
        tasks.values.filter { $0.end == nil }.flatMap { [$0.due, $0.deadline] }.compactMap(\.self).min()
    }

    private func verdict(on kind: OutcomeKind, _ options: TaskOptions) -> OutcomeKind? {
        if kind == .completed { return nil }
        let policy = options.onDependencyFailure ?? .fail
        switch kind.isFailure ? policy : options.onDependencyCancel ?? policy {
        case .fail: return .dependencyFailed
        case .cancel: return .cancelled
        case .ignore: return nil
        }
    }

    private mutating func start(_ id: TaskID) {
        let due = max(now, tasks[id]?.startsAt ?? now)
        tasks[id]?.due = due
        if due == now { attempt(id) }
    }

    private mutating func attempt(_ id: TaskID) {
        guard var task = tasks[id] else { return }
        task.attempts += 1
        task.due = nil
        if task.deadline == nil, let life = task.options.timeToLive {
            task.deadline = now + Int64(life.duration.wholeMilliseconds)
        }
        let isTriedAgain = task.attempts <= task.failures
        if isTriedAgain { task.due = now + Self.retryDelay }
        tasks[id] = task
        if !isTriedAgain { end(id, task.failsForGood ? .failed : .completed) }
    }

    private mutating func end(_ id: TaskID, _ kind: OutcomeKind) {
        guard let task = tasks[id], task.end == nil else { return }
        tasks[id]?.end = End(kind: kind, attempts: task.attempts, at: now)
        tellWaiters(of: id, kind)
    }

    private mutating func tellWaiters(of id: TaskID, _ kind: OutcomeKind) {
        for waiter in tasks.keys.sorted() {
            guard let other = tasks[waiter], other.end == nil, other.unmet.contains(id) else { continue }
            tasks[waiter]?.unmet.remove(id)
            if let kind = verdict(on: kind, other.options) {
                end(waiter, kind)
            } else if tasks[waiter]?.unmet.isEmpty == true {
                start(waiter)
            }
        }
    }
}
