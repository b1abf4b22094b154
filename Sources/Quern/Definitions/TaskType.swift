// SPDX-License-Identifier: Apache-2.0

/// The name of a kind of task, as it stands in the store: `"dirscan.directory"`.
///
/// The name outlives the program, so choose it apart from the Swift type's name and never use it for something
/// else. It has 1 to 255 bytes of UTF-8 and no "#", behind which the store has the version of the payload; registering
/// a type with another name throws ``SchedulerError/Code/invalidTypeName``.
public struct TaskType: Hashable, Sendable, ExpressibleByStringLiteral {
    /// The longest name, in bytes of UTF-8.
    public static let maximumLength = 255

    public let name: String

    public init(_ name: String) { self.name = name }
    public init(stringLiteral name: String) { self.name = name }

    /// Whether the name has 1 to 255 bytes and no "#".
    public var isValid: Bool {
        (1...Self.maximumLength).contains(name.utf8.count) && !name.utf8.contains(UInt8(ascii: "#"))
    }
}

extension TaskType: CustomStringConvertible {
    public var description: String { name }
}
