// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// Where a task is on its way, as far as a store's files tell: who runs it knows better whether it runs now.
enum TaskState: Hashable, Sendable {
    /// It waits for a worker, or runs.
    case pending
    /// It was about to run when its process died; of a store in use, it runs or ran.
    case runningAtCrash
    /// Its children live.
    case waiting
    /// Its children have ended, and its own end is still to come.
    case finalizing
    /// It waits for a time.
    case delayed
    /// It waits for other tasks to end.
    case blocked
    /// It is to be cancelled, by itself or with a parent.
    case cancelling
    case ended(OutcomeKind)

    static let live: [TaskState] = [
        .pending, .runningAtCrash, .waiting, .finalizing, .delayed, .blocked, .cancelling,
    ]
    static let all = live + OutcomeKind.allCases.map { .ended($0) }

    var isEnded: Bool { if case .ended = self { true } else { false } }

    var name: String {
        switch self {
        case .pending: "pending"
        case .runningAtCrash: "running_at_crash"
        case .waiting: "waiting"
        case .finalizing: "finalizing"
        case .delayed: "delayed"
        case .blocked: "blocked"
        case .cancelling: "cancelling"
        case .ended(let kind): "\(kind.name)"
        }
    }

    var colour: Style.Colour? {
        switch self {
        case .ended(let kind): kind.colour
        case .runningAtCrash, .cancelling: .yellow
        case .pending, .waiting, .finalizing, .delayed, .blocked: nil
        }
    }
}

extension TaskState: ExpressibleByArgument {
    /// Hyphens count as underscores.
    init?(argument: String) {
        let name = argument.replacing("-", with: "_")
        guard let state = Self.all.first(where: { $0.name == name }) else { return nil }
        self = state
    }

    static var allValueStrings: [String] { all.map(\.name) }
}

/// The live tasks of a store, and what is known of each.
struct LiveView {
    let live: LiveTasks
    let now: Timestamp
    private let store: OfflineStore
    private let parents: [TaskID: ParentStatus]
    private let inFlight: Set<TaskID>
    private let hasCancels: Bool
    /// Of the last run with attributes: most are alike.
    private var known: (bytes: [UInt8], firstID: TaskID, options: StoredOptions?) = ([], .none, StoredOptions())

    init(_ store: OfflineStore, now: Timestamp) {
        self.store = store
        self.now = now
        live = store.liveTasks()
        parents = Dictionary(uniqueKeysWithValues: live.parents.map { ($0.id, $0) })
        inFlight = Set(live.inFlight)
        hasCancels =
            live.details.values.contains(where: \.cancelRequested) || live.parents.contains(where: \.cancelRequested)
    }

    func status(of task: TaskID) -> ParentStatus? { parents[task] }

    func attempts(of task: TaskID) -> UInt32 { live.details[task]?.attempts ?? 0 }

    func priority(of task: TaskID, in run: SpawnRun) -> UInt8 { live.details[task]?.priority ?? run.priority }

    /// Nil when they are not in a form that this version knows.
    mutating func options(of run: SpawnRun) -> StoredOptions? {
        guard let bytes = live.attributes[run.firstID], !bytes.isEmpty else { return StoredOptions() }
        // Times and dependencies count from the run.
        if known.firstID != run.firstID { known = (bytes, run.firstID, StoredOptions(bytes, of: run)) }
        return known.options
    }

    func state(of task: TaskID, in run: SpawnRun, _ options: StoredOptions?) -> TaskState {
        if hasCancels, isCancelled(task, parent: run.parent) { return .cancelling }
        if let status = parents[task], status.phase >= StoredSlots.childrenPhase {
            return status.liveChildren > 0 ? .waiting : .finalizing
        }
        if inFlight.contains(task) { return .runningAtCrash }
        if let notBefore = notBefore(task, options), notBefore > now { return .delayed }
        if let options, options.dependencies.contains(where: { store.isLive($0.task) }) { return .blocked }
        return .pending
    }

    /// When it may run at the earliest.
    func notBefore(_ task: TaskID, _ options: StoredOptions?) -> Timestamp? {
        let next = live.details[task].map(\.notBefore).flatMap { $0.rawValue == .min ? nil : $0 }
        return next ?? options?.startsAt
    }

    private func isCancelled(_ task: TaskID, parent: TaskID) -> Bool {
        var (current, above) = (task, parent)
        while true {
            if live.details[current]?.cancelRequested ?? false || parents[current]?.cancelRequested ?? false {
                return true
            }
            guard above != .none, let run = store.run(of: above) else { return false }
            (current, above) = (above, run.parent)
        }
    }
}
