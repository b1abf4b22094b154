// SPDX-License-Identifier: Apache-2.0

/// Something in a store's files that is not as FORMAT.md says, or that is worth a word.
package struct StoreFinding: Sendable, Equatable {
    package enum Severity: Int, Sendable, Comparable {
        /// Nothing is wrong: a leftover that the next writer removes, say.
        case note
        /// A write that was never acknowledged was cut short. Nothing is lost.
        case torn
        /// Something that was written is not there as it was, and nothing that it told is lost.
        case spared
        /// Something that was written is not there as it was.
        case damage

        package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
    }

    package var severity: Severity
    /// The file's name in the store's directory.
    package var file: String
    /// Where in the file, in bytes.
    package var offset: Int?
    /// What is wrong there.
    package var what: String
    /// What it means for those who use the store.
    package var consequence: String

    package init(_ severity: Severity, _ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        self.severity = severity
        self.file = file
        self.offset = offset
        self.what = what
        self.consequence = consequence
    }
}

extension StoreFinding {
    /// "3 children of task 7", "1 root task".
    static func children(_ count: UInt64, of parent: TaskID) -> String {
        if parent == .none { return count == 1 ? "1 root task" : "\(count) root tasks" }
        return "\(count) \(count == 1 ? "child" : "children") of task \(parent)"
    }
}
