// SPDX-License-Identifier: Apache-2.0

/// Who hears what became of a transaction. Called exactly once.
///
/// A caller that awaits costs no closure and no allocation here: with one write a call that is most of what is left.
enum CommitCompletion: Sendable {
    /// A task that awaits; nil tells it that there was no room.
    case continuation(UnsafeContinuation<Result<Commit, StoreError>?, Never>)
    /// A thread that blocks.
    case handoff(Handoff<Result<Commit, StoreError>>)
    case closure(@Sendable (Result<Commit, StoreError>) -> Void)

    func callAsFunction(_ result: Result<Commit, StoreError>) {
        switch self {
        case .continuation(let continuation): continuation.resume(returning: result)
        case .handoff(let handoff): handoff.give(result)
        case .closure(let closure): closure(result)
        }
    }
}

/// Tells those whom one batch concerns.
///
/// Tasks that await are woken by a task in the pool that they run in: to wake a hundred takes as long as to write what
/// they handed over, and the writer thread has the next batch to write.
struct CommitWakeups {
    private typealias Awaiting = UnsafeContinuation<Result<Commit, StoreError>?, Never>
    private var awaiting: [(task: Awaiting, result: Result<Commit, StoreError>)] = []

    /// Tells all but tasks that await, who are told by ``send()``.
    mutating func add(_ completion: CommitCompletion, _ result: Result<Commit, StoreError>) {
        guard case .continuation(let task) = completion else { return completion(result) }
        awaiting.append((task, result))
    }

    /// One alone is told at once.
    consuming func send() {
        let awaiting = awaiting
        if awaiting.count == 1 { return awaiting[0].task.resume(returning: awaiting[0].result) }
        if awaiting.isEmpty { return }
        Task.detached(priority: .high) {
            for (task, result) in awaiting { task.resume(returning: result) }
        }
    }
}
