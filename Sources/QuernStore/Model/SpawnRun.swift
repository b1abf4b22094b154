// SPDX-License-Identifier: Apache-2.0

/// Up to 64 tasks with consecutive ids that were spawned together: all that memory keeps of pending tasks (S14).
///
/// Their payloads stay in the log, where the run points to. 64 is the width of the bit set that says which of
/// them are still live, and a good number of tasks for a worker to pull at a time.
public struct SpawnRun: Sendable, Equatable, BitwiseCopyable {
    public static let capacity = 64

    public var firstID: TaskID
    public var parent: TaskID
    public var submittedAt: Timestamp
    public var label: Label
    public var count: UInt8
    public var priority: UInt8
    /// Where the payloads are: log segment, frame, spawn record in the frame's body.
    var segment: UInt32
    var frameOffset: UInt64
    var recordOffset: UInt32
    /// Bytes of all payloads together: what the log segment is kept for.
    var payloadBytes: UInt32 = 0

    public func id(at index: Int) -> TaskID { TaskID(firstID.rawValue + UInt64(index)) }

    /// A bit for each task of the run.
    public var allBits: UInt64 { count >= 64 ? .max : (1 << UInt64(count)) - 1 }
}
