// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern repair`: what can still be read of a damaged store, as a new one.
struct Repair: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new store of everything that a damaged one still holds.",
        discussion: """
            Writes nothing to the damaged store. Lists what is lost: in which file and at which byte, whose children, \
            how many. Children that are damaged in the index are taken from the log where that still has them, and so \
            are live tasks of a damaged checkpoint. Tasks whose end is lost are live again. Ids that may be in use are \
            not given out again.

            Exit status: 0 when nothing is lost, 1 when something is, and the rest is in the new store.

            Examples:
              quern repair /var/lib/service/tasks --into /var/lib/service/tasks.repaired
              quern repair /var/lib/service/tasks --into /tmp/tasks --json > losses.jsonl
            """)

    @OptionGroup var store: StoreArgument
    @Option(help: "The directory for the new store, which must be empty or missing.", completion: .directory)
    var into: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    var cleansUp: Bool { true }

    func run(into output: inout Output) throws {
        try Salvage(store: store.path, into: FilePath(into), purpose: .salvage, format: format, progress: progress)
            .run("repair", into: &output)
    }
}

/// Makes a store of what another one still holds, and says what is lost.
struct Salvage {
    let store: FilePath
    let into: FilePath
    let purpose: OfflineContents.Purpose
    let format: FormatOptions
    let progress: ProgressOptions

    func run(_ label: String, into output: inout Output) throws {
        let source = try OfflineStore.read(at: store)
        for finding in source.spared { output.warn(finding.line) }
        let contents = try source.tellContents(for: purpose, label, progress) { contents in
            try StoreBuilder.build(at: into, fileSystem: InterruptibleFileSystem()) { try contents.tell(&$0) }
        }
        if !contents.losses.isEmpty { output.noteFinding() }
        if format.json { try writeJSON(contents, to: &output) } else { try write(contents, to: &output) }
    }

    private func write(_ contents: OfflineContents, to output: inout Output) throws {
        for loss in contents.losses { try output.line(Printable.text(loss.line)) }
        if !contents.losses.isEmpty { try output.line() }
        var table = Table(.left(), .right())
        table.add("ended children", .number(contents.children))
        table.add("of these, from the log", .number(contents.childrenFromLog))
        table.add("live tasks", .number(contents.liveTasks))
        table.add("of these, lost by the checkpoint", .number(contents.liveTasksFromLog))
        table.add("losses", .number(contents.losses.count))
        try table.write(to: &output)
    }

    private func writeJSON(_ contents: OfflineContents, to output: inout Output) throws {
        for loss in contents.losses {
            try output.json {
                $0.field("type", "loss")
                $0.field("file", loss.file)
                $0.field("offset", loss.offset)
                $0.field("what", loss.what)
                $0.field("parent", loss.parent?.rawValue)
                $0.field("count", loss.count)
                $0.field("first_sequence", loss.sequences?.lowerBound)
                $0.field("end_sequence", loss.sequences?.upperBound)
                $0.field("first_id", loss.ids?.lowerBound)
                $0.field("end_id", loss.ids?.upperBound)
            }
        }
        try output.json {
            $0.field("type", "store")
            $0.field("children", contents.children)
            $0.field("children_from_log", contents.childrenFromLog)
            $0.field("live_tasks", contents.liveTasks)
            $0.field("live_tasks_from_log", contents.liveTasksFromLog)
            $0.field("losses", contents.losses.count)
        }
    }
}

extension StoreLoss {
    /// For people.
    var line: String {
        var text = file.isEmpty ? "" : file + (offset.map { " at \($0)" } ?? "") + ": "
        text += what
        if let count { text += ", \(Numbers.grouped(count))" }
        if let parent { text += parent == .none ? " root tasks" : " under \(parent)" }
        if let ids, !ids.isEmpty { text += ", ids \(ids.lowerBound) to \(ids.upperBound - 1)" }
        if let sequences, !sequences.isEmpty {
            text += ", outcomes at positions \(sequences.lowerBound) to \(sequences.upperBound - 1)"
        }
        return text
    }
}
