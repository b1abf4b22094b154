// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What opening a store found and did.
public struct RecoveryReport: Sendable, Equatable {
    /// The store did not exist before.
    public var created = false
    /// The store was closed in order the last time that something was committed to it.
    public var wasClean = true
    /// Frames that were committed after the last checkpoint and replayed.
    public var replayedFrames = 0
    /// Bytes of log read to replay them.
    public var replayedBytes = 0
    /// Bytes at the end of the log that were written and never acknowledged; they were left out.
    public var tornBytes = 0
    /// The segment with the torn bytes.
    public var tornFile: FilePath?

    /// What was wrong with the checkpoint, whose mirror was read in its place: nothing is lost. The next checkpoint
    /// makes both anew, and the first commit asks for one.
    public var checkpointDamage: StoreError?

    /// A report of nothing.
    public init() {}
}
