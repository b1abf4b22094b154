// SPDX-License-Identifier: Apache-2.0

/// How `quern` ends.
enum ExitStatus: Int32, Sendable {
    /// All is as it should be.
    case fine = 0
    /// Something is damaged, missing or not found; everything else was printed.
    case findings = 1
    /// The call was wrong, and nothing was done.
    case usage = 2
    /// The store, or the place to write to, cannot be used.
    case unreadable = 3
    case interrupted = 130
}

/// Why a command ends without a result.
struct ToolError: Error, CustomStringConvertible {
    var status: ExitStatus
    var description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }
}
