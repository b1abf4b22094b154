// SPDX-License-Identifier: Apache-2.0

/// Something in a file, as FORMAT.md names it: the file header, a frame, a record in it, or a part of a record.
package struct DumpItem: Sendable {
    package enum Kind: String, Sendable {
        case fileHeader = "file_header"
        case frame
        /// Bytes that are no frame.
        case gap
        case record
        /// A block of ended children, where a frame holds several or a record holds one.
        case block
        /// A part of a frame or record of which there are many: a child, a task, a run, an entry.
        case row
    }

    package var kind: Kind
    /// Of which kind, in the words of FORMAT.md.
    package var name: String
    /// Where it is: in the file, or in the decoded body of its frame.
    package var offset: Int
    package var fields: [DumpField] = []
    /// What is wrong with it.
    package var problem: String?
}

/// A named value of a ``DumpItem``.
package struct DumpField: Sendable {
    package enum Value: Sendable {
        case number(UInt64)
        case signed(Int64)
        case checksum(UInt32)
        /// Milliseconds since 1970.
        case time(Int64)
        case bits(UInt64)
        case flag(Bool)
        case text(String)
        case numbers([UInt64])
        case bytes([UInt8])
        /// What the application wrote, where it is not to be shown: how many bytes.
        case redacted(Int)
    }

    package var name: String
    package var value: Value

    init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }

    init(_ name: String, _ value: some BinaryInteger & UnsignedInteger) { self.init(name, .number(UInt64(value))) }
    init(_ name: String, _ task: TaskID) { self.init(name, .number(task.rawValue)) }
}
