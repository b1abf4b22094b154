// SPDX-License-Identifier: Apache-2.0

/// The identity of a task: a number that the store hands out batch by batch and never hands out again (T1).
///
/// Within a batch of transactions that commit together ids go by parent and label. A child's id is always greater than
/// its parent's.
public struct TaskID: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// A task by its number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The parent of all root tasks. It is no task itself and never ends.
    public static let none = TaskID(rawValue: 0)

    public static func < (left: TaskID, right: TaskID) -> Bool { left.rawValue < right.rawValue }
}

extension TaskID: CustomStringConvertible {
    public var description: String { String(rawValue) }
}
