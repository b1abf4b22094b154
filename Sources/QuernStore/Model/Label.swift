// SPDX-License-Identifier: Apache-2.0

/// A small number that stands for a name which the store remembers, such as the type of a task.
///
/// The store gives out numbers with ``MemoStore/label(for:)`` and knows nothing of what the names mean.
public struct Label: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
}
