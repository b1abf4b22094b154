// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern info`: sizes, live and ended tasks, by the last checkpoint.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a store's last checkpoint says of it.",
        discussion: """
            Example:
              quern info ~/.cache/dirscan/0123456789abcdef/tasks

            Exit status: 0, 64 for a wrong call, 3 when the store cannot be read.
            """)

    @Argument(help: "The store's directory.")
    var store: String

    func run() throws {
        do throws(StoreError) {
            print(Self.text(try StoreInspection(of: FilePath(store))))
        } catch {
            Output.error("quern: \(error)")
            throw ExitCode(3)
        }
    }

    static func text(_ store: StoreInspection) -> String {
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
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { name, value in
            name + String(repeating: " ", count: width - name.count + 2) + value
        }.joined(separator: "\n")
    }
}
