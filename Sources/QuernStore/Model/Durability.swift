// SPDX-License-Identifier: Apache-2.0

/// What a commit has reached when its call returns (S3).
public enum Durability: Sendable, Equatable {
    /// On disk: it survives the death of the process and a loss of power.
    case synced
    /// Handed to the operating system: it survives the death of the process. A loss of power may take
    /// the most recent commits, always from the end: never one without all behind it.
    case buffered
    /// As ``buffered``, and on disk at most this long after its call returned.
    case interval(Duration)
}
