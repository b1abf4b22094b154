// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A child's memo that cannot be read as the type asked for (T13). It names the child; the stream can go on.
public struct MemoDecodingError: Error, Sendable {
    /// The child whose memo it is.
    public var child: TaskID
    /// The task type whose memo was asked for.
    public var type: TaskType
    /// Why it cannot be read.
    public var cause: any Error

    public init(child: TaskID, type: TaskType, cause: any Error) {
        self.child = child
        self.type = type
        self.cause = cause
    }
}

extension MemoDecodingError: CustomStringConvertible {
    public var description: String { "the memo of task \(child) (\(type)) cannot be read: \(cause)" }
}
