// SPDX-License-Identifier: Apache-2.0

/// What a failed child means for its parent (T8).
public enum ChildFailurePolicy: Sendable, Equatable {
    /// The first child that ends in failure cancels its siblings and fails the parent; `finalize` does not run.
    case failFast
    /// `finalize` always runs, sees the counts of each outcome and the failures, and decides.
    case tolerate
}
