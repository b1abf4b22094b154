// SPDX-License-Identifier: Apache-2.0

/// Up to 64 tasks with consecutive ids that were spawned together: all that memory keeps of pending tasks (S14).
///
/// Their payloads stay in the log, where the run points to. 64 is the width of the bit set that says which of
/// them are still live, and a good number of tasks for a worker to pull at a time.
public struct SpawnRun: Sendable, Equatable, BitwiseCopyable {
    /// The most tasks in a run.
    public static let capacity = 64

    /// The task with index 0.
    public var firstID: TaskID
    /// Whose children they are.
    public var parent: TaskID
    /// When they were spawned.
    public var submittedAt: Timestamp
    /// Their label.
    public var label: Label
    /// How many: 1 to ``capacity``.
    public var count: UInt8
    /// Lower runs first.
    public var priority: UInt8
    /// Where the payloads are: log segment, frame, spawn record in the frame's body.
    var segment: UInt32
    var frameOffset: UInt64
    var recordOffset: UInt32
    /// Bytes of all payloads together: what the log segment is kept for.
    var payloadBytes: UInt32 = 0

    /// The task with an index from 0 to ``count`` - 1. O(1).
    public func id(at index: Int) -> TaskID { TaskID(firstID.rawValue + UInt64(index)) }

    /// A bit for each task of the run.
    public var allBits: UInt64 { count >= 64 ? .max : (1 << UInt64(count)) - 1 }
}
