// SPDX-License-Identifier: Apache-2.0

/// Which columns a walk over children decodes. Kinds and labels always come; leave out what you do not read.
public struct ChildColumns: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The memos of completed children.
    public static let memos = ChildColumns(rawValue: 1)
    /// The errors of the others.
    public static let errors = ChildColumns(rawValue: 2)
    /// Ids, sequences, attempts and times.
    public static let facts = ChildColumns(rawValue: 4)
    /// What children left for whoever runs them again. Facts come with it.
    public static let attachments = ChildColumns(rawValue: 8 | facts.rawValue)
    /// Everything but attachments, which only who runs a task again reads.
    public static let all: ChildColumns = [.memos, .errors, .facts]
    /// Sequences and kinds, and nothing else: for a look at where a position lies.
    static let positions = ChildColumns(rawValue: 16)
    /// Everything that a block has.
    static let stored: ChildColumns = [.all, .attachments]
}
