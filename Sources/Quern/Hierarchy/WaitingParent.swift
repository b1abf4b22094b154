// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// An orchestrator task between the end of its `execute` and its outcome: what memory keeps of it.
struct WaitingParent: Sendable, Equatable {
    enum State: Sendable, Equatable {
        /// For children, or for its execution to commit.
        case waiting
        /// For a worker, or being worked on: the decision is made.
        case decided
    }

    var run: SpawnRun
    var index: Int
    var state = State.waiting
    /// How often `finalize` was tried.
    var attempts: UInt32 = 0
    var crashes: UInt8 = 0
    /// The first child that ended in failure, as the last status said.
    var firstFailure = TaskID.none

    var id: TaskID { run.id(at: index) }
    var bit: UInt64 { 1 << UInt64(index) }

    init(run: SpawnRun, index: Int) {
        self.run = run
        self.index = index
    }
}
