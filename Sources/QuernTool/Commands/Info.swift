// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern info`: sizes, live and ended tasks, by the last checkpoint.
struct Info: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a store's last checkpoint says of it.",
        discussion: """
            Example:
              quern info ~/.cache/dirscan/0123456789abcdef/tasks
            """)

    @OptionGroup var store: StoreArgument

    func run(into output: inout Output) throws -> ExitStatus {
        let store = try StoreInspection(of: store.path)
        let log = store.logSegments.reduce(0) { $0 + $1.size }
        let index = store.indexSegments.reduce(0) { $0 + $1.size }
        let rows: [(String, String)] = [
            ("format", "version \(store.formatVersion)"),
            ("openings", "\(store.openings)"),
            ("closed in order", store.wasClosedInOrder ? "yes" : "no: in use, or its writer died"),
            ("checkpoint", "\(store.checkpoint)"),
            ("live tasks", "\(store.liveTasks), \(store.liveParents) of them parents"),
            ("ended roots", "\(store.endedRoots.total), \(store.endedRoots.failures) of them failed"),
            ("dropped trees", "\(store.droppedTrees) that wait for a compaction"),
            ("task types", store.names.isEmpty ? "none" : store.names.joined(separator: ", ")),
            ("log", "\(log) bytes in \(store.logSegments.count) segments"),
            ("behind checkpoint", "\(store.logBytesAfterCheckpoint) bytes"),
            ("index", "\(index) bytes in \(store.indexSegments.count) segments"),
        ]
        var table = Table(.left(), .left())
        for (name, value) in rows { table.add(.text(name), .text(value)) }
        try table.write(to: &output)
        return .fine
    }
}
