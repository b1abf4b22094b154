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
    /// The number of its group; 0 for none.
    var group: Int32
    /// How many bytes a call of its handler is expected to read and write.
    var ioBytes: Float
    /// How often `finalize` was tried.
    var attempts: UInt32 = 0
    var state = State.waiting
    var crashes: UInt8 = 0
    /// The first child that ended in failure, as the last status said.
    var firstFailure = TaskID.none

    var id: TaskID { run.id(at: index) }
    var bit: UInt64 { 1 << UInt64(index) }

    /// It alone.
    var ready: ReadyRun {
        ReadyRun(run: run, bits: bit, attempts: attempts, group: group, ioBytes: ioBytes, crashes: crashes)
    }

    init(run: SpawnRun, index: Int, group: Int32 = 0, ioBytes: Float = 0) {
        self.run = run
        self.index = index
        self.group = group
        self.ioBytes = ioBytes
    }

    /// That of a task which was ready to run.
    init(_ entry: ReadyRun, index: Int) {
        self.init(run: entry.run, index: index, group: entry.group, ioBytes: entry.ioBytes)
    }
}
