// SPDX-License-Identifier: Apache-2.0

/// What a failed child means for its parent (T8).
public enum ChildFailurePolicy: Sendable, Equatable {
    /// The first child that ends in failure cancels its siblings and fails the parent; `finalize` does not run.
    case failFast
    /// `finalize` always runs, sees the counts of each outcome and the failures, and decides.
    case tolerate
    /// As `tolerate` while the failures keep within the budget, as `failFast` once they do not: see
    /// ``budget(count:)`` and ``budget(share:minimum:)``. A task that redrives another one counts the children
    /// that it runs again together with those that it keeps.
    case within(FailureBudget)
}
