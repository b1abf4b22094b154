// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What the scheduler can do with tasks of one type: the border between the untyped queues and typed handlers.
/// One virtual call a pull, never one a task.
protocol TaskRunner: Sendable {
    var type: TaskType { get }
    var facts: TypeFacts { get }

    /// Calls `execute` for the tasks of the pull that nobody takes back, and puts what came of it in the worker's
    /// buffer.
    func execute(_ entry: ReadyRun, claims: PullClaims, worker: Worker) async -> PullReport

    /// Calls `finalize`, and puts what came of it in the worker's buffer.
    func finalize(_ parent: WaitingParent, claims: PullClaims, worker: Worker) async -> PullReport

    /// Calls the cancel hook for tasks, under the time limit.
    ///
    /// - Throws: when their payloads cannot be read; no hook was called then.
    func runCancelHooks(_ entry: ReadyRun, core: SchedulerCore) async throws(StoreError)
}

/// How a runner does its work.
struct RunnerTerms: Sendable {
    var facts: TypeFacts
    /// Of its tasks' payloads.
    var version: UInt32
    var retry: RetryPolicy
    var middleware: MiddlewareChain
}

/// What a worker is, to the code that it runs.
struct Worker: Sendable {
    let id: Dispatcher.WorkerID
    let place: HandlerPlace
    let core: SchedulerCore
    let buffer: PullBuffer
}

extension Worker {
    /// The store cannot read or take what belongs to tasks: they are as if they had not been started, and what they did
    /// is dropped.
    func giveBack(_ bits: UInt64, since error: StoreError, _ report: inout PullReport) {
        core.readFailed(error)
        buffer.abandon()
        report.givenBack |= bits
    }
}
