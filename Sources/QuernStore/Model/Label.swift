// SPDX-License-Identifier: Apache-2.0

/// A small number that stands for a name which the store remembers, such as the type of a task.
///
/// The store gives out numbers with ``MemoStore/label(for:)`` and knows nothing of what the names mean.
/// A transaction with a label of another store is rejected, unless this store has given out the same number.
public struct Label: Hashable, Sendable, BitwiseCopyable {
    /// From 1, in the order in which the names were defined.
    public let rawValue: UInt32
}
