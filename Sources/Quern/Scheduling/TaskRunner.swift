// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What the scheduler can do with tasks of one type: the border between the untyped queues and typed handlers.
/// One virtual call a pull, never one a task.
protocol TaskRunner: Sendable {
    var type: TaskType { get }
    var label: Label { get }
    var facts: TypeFacts { get }

    /// Calls `execute` for the tasks of the pull that nobody takes back, and puts what came of it in the worker's
    /// buffer.
    func execute(_ entry: ReadyRun, claims: PullClaims, worker: Worker) async -> PullReport

    /// Calls `finalize`, and puts what came of it in the worker's buffer.
    func finalize(_ parent: WaitingParent, claims: PullClaims, worker: Worker) async -> PullReport

    /// Calls the cancel hook for tasks, under the time limit.
    func runCancelHooks(_ entry: ReadyRun, core: SchedulerCore) async
}

/// What a worker is, to the code that it runs.
struct Worker: Sendable {
    let id: Dispatcher.WorkerID
    let place: HandlerPlace
    let core: SchedulerCore
    let buffer: PullBuffer
}

/// The runners of all registered types.
struct TypeTable: Sendable {
    /// By the raw value of the label.
    private(set) var runners: [(any TaskRunner)?] = []
    /// Few enough that a walk is faster than hashing.
    private var labels: [(type: ObjectIdentifier, label: Label)] = []
    private var labelsByName: [TaskType: Label] = [:]

    mutating func add(_ runner: any TaskRunner, for type: Any.Type) {
        let index = Int(runner.label.rawValue)
        if index >= runners.count {
            runners.append(contentsOf: repeatElement(nil, count: index + 1 - runners.count))
        }
        runners[index] = runner
        labels.append((ObjectIdentifier(type), runner.label))
        labelsByName[runner.type] = runner.label
    }

    var facts: [TypeFacts?] { runners.map { $0?.facts } }

    func runner(of label: Label) -> (any TaskRunner)? {
        let index = Int(label.rawValue)
        return index < runners.count ? runners[index] : nil
    }

    /// The type of a label, also when nobody handles it any more.
    func type(of label: Label) -> TaskType { runner(of: label)?.type ?? "unknown" }

    func label(named type: TaskType) -> Label? { labelsByName[type] }

    func label<Work: DurableTask>(of type: Work.Type) throws(SchedulerError) -> Label {
        let wanted = ObjectIdentifier(type)
        for entry in labels where entry.type == wanted { return entry.label }
        if let label = labelsByName[type.type] { return label }
        throw .notRegistered(type.type)
    }
}
