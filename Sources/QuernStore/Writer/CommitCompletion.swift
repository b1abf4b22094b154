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
