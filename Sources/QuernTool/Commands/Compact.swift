// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern compact`: a store without the space that nothing in it needs.
struct Compact: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rewrite a store that nobody uses, so that it takes least space and is read fastest.",
        discussion: """
            Puts the children of each parent side by side in full blocks, leaves dropped trees out, and frees log \
            segments. In place it takes the writer's lock, needs room for the new files beside the old ones, and may \
            be killed at any moment without loss. With --into the store stays as it is, and equal contents give equal \
            files. A damaged store is refused: see quern repair.

            Examples:
              quern compact /var/lib/service/tasks --dry-run
              quern compact /var/lib/service/tasks
              quern compact /var/lib/service/tasks --into /backup/tasks
            """)

    @OptionGroup var store: StoreArgument
    @Option(
        help: "Write the compacted store into this directory, which must be empty or missing.", completion: .directory)
    var into: String?
    @Flag(help: "Say what it would free, and change nothing.")
    var dryRun = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    var cleansUp: Bool { into != nil }

    func run(into output: inout Output) throws {
        let report: CompactionInPlace.Report
        if dryRun {
            report = try build(at: "/measured", on: MeasuringFileSystem()) { $0.bytes }
        } else if let into {
            report = try build(at: FilePath(into), on: InterruptibleFileSystem()) { _ in
                try Self.size(of: FilePath(into))
            }
        } else {
            report = try ProgressLine.showing("compact", .items("children"), progress) {
                try CompactionInPlace(of: store.path).run(progress: $0)
            }
        }
        try write(report, to: &output)
    }

    private func build<Files: FileSystem>(
        at directory: FilePath, on files: Files, size: (Files) throws -> Int
    ) throws -> CompactionInPlace.Report {
        let source = try OfflineStore.read(at: store.path)
        let before = try Self.size(of: store.path)
        let contents = try source.tellContents(for: .whole, "compact", progress) { contents in
            try StoreBuilder.build(at: directory, fileSystem: files) { try contents.tell(&$0) }
        }
        return CompactionInPlace.Report(
            bytesBefore: before, bytesAfter: try size(files), children: contents.children,
            liveTasks: contents.liveTasks)
    }

    private static func size(of directory: FilePath) throws -> Int { try RawStore(at: directory).bytes }

    private func write(_ report: CompactionInPlace.Report, to output: inout Output) throws {
        if format.json {
            return try output.json {
                $0.field("dry_run", dryRun)
                $0.field("bytes_before", report.bytesBefore)
                $0.field("bytes_after", report.bytesAfter)
                $0.field("children", report.children)
                $0.field("live_tasks", report.liveTasks)
            }
        }
        let freed = max(report.bytesBefore - report.bytesAfter, 0)
        let share = Numbers.percent(Double(freed), of: Double(report.bytesBefore))
        var table = Table(.left(), .right())
        table.add("before", "\(Numbers.bytes(report.bytesBefore))")
        table.add(dryRun ? "would be" : "after", "\(Numbers.bytes(report.bytesAfter))")
        table.add(dryRun ? "would free" : "freed", "\(Numbers.bytes(freed)) (\(share))")
        table.add("ended children", .number(report.children))
        table.add("live tasks", .number(report.liveTasks))
        try table.write(to: &output)
    }
}

extension OfflineStore {
    /// Tells what it holds, with a line that says how far that is, and that is gone at return.
    func tellContents(
        for purpose: OfflineContents.Purpose, _ label: String, _ options: ProgressOptions,
        _ tell: (inout OfflineContents) throws -> Void
    ) throws -> OfflineContents {
        try ProgressLine.showing(label, .items("children"), options) { progress in
            var contents = try OfflineContents(of: self, for: purpose, progress: progress)
            try tell(&contents)
            return contents
        }
    }
}
