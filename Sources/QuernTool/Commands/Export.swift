// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern export`: a whole store as JSON Lines, or the children of one parent.
struct Export: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a store, or the ended children of one parent, as JSON Lines or CSV.",
        discussion: """
            A whole store goes into JSON Lines without loss, bytes as Base64 and times as milliseconds since 1970: \
            quern import makes the same store of it. A store in use is exported as it is at one moment. Of a damaged \
            one what can be read is written, what is lost is told on standard error, and the exit status is 1.

            CSV has the children of one parent: with --layout a column for each field of their memos, else the memos \
            as hexadecimal digits. There is no Arrow or Parquet, for want of a Swift library to rest on: tools that \
            have them read CSV and JSON Lines.

            With --output the file appears when it is whole. Until then it has .partial behind its name, which stays \
            when the command is killed.

            Examples:
              quern export /var/lib/service/tasks --output tasks.jsonl
              quern export /var/lib/service/tasks | zstd > tasks.jsonl.zst
              quern export /var/lib/service/tasks --parent 1 --format csv --layout 'u64 files,u64 bytes'
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case jsonl, csv }

    @OptionGroup var store: StoreArgument
    @Option(help: "Only the ended children of this task; 0 for the root tasks.")
    var parent: TaskID?
    @Option(help: "The format.")
    var format = Format.jsonl
    @Option(help: "Write into this file, which must not exist, in the place of standard output.", completion: .file())
    var output: String?
    @OptionGroup var layout: LayoutOptions
    @OptionGroup var progress: ProgressOptions

    func validate() throws {
        if output == "" { throw ValidationError("--output needs the name of a file.") }
        if format == .csv, parent == nil {
            throw ValidationError("CSV has the children of one parent: name it with --parent.")
        }
        if format == .jsonl, layout.layout != nil {
            throw ValidationError("JSON Lines have memos as they are. For decoded ones see quern children --json.")
        }
    }

    var cleansUp: Bool { output != nil }

    func run(into output: inout Output) throws {
        guard let path = self.output else { return try export(&output) }
        let status = try OutputFile(FilePath(path)).write { file in
            try export(&file)
            return file.status
        }
        if status != .fine { output.noteFinding() }
    }

    private func export(_ output: inout Output) throws {
        guard let parent else { return try exportStore(try OfflineStore.read(at: store.path), &output) }
        return try exportChildren(of: parent, try store.read(&output), &output)
    }

    private func exportStore(_ source: OfflineStore, _ output: inout Output) throws {
        var writer = ExchangeWriter(to: output)
        defer { output = writer.output }
        if source.isDamaged { writer.output.noteFinding() }
        for finding in source.spared { writer.output.finding(finding.line) }
        let contents = try source.tellContents(for: .look, "export", progress) { try $0.tell(&writer) }
        for loss in contents.losses { writer.output.finding(Printable.text(loss.line)) }
    }

    private func exportChildren(
        of parent: TaskID, _ source: OfflineStore, _ output: inout Output
    ) throws {
        if parent != .none, !source.isLive(parent), !source.isParent(parent) {
            throw ToolError(.findings, "task \(parent) has no children here, and is not live")
        }
        var children = source.children(of: parent, columns: [.all, .attachments])
        var line = ProgressLine(
            "export", .items("children"), of: children.counts.total, isWanted: progress.progress)
        defer { line.finish() }
        var csv = ChildrenCSV(names: source.names, layout: layout.layout)
        var writer = ExchangeWriter(to: output)
        defer { output = writer.output }
        defer { if csv.misfits > 0 { writer.output.finding("\(csv.misfits) memos are not of the layout") } }
        if format == .csv { try csv.writeHeader(to: &writer.output) }
        var block = ChildBlock()
        var done: UInt64 = 0
        while let item = children.next(into: &block) {
            switch item {
            case .lost(let finding, _):
                writer.output.finding(finding.line)
            case .block:
                switch format {
                case .csv: try csv.write(block, to: &writer.output)
                case .jsonl: try writer.add(block.shownRows())
                }
                done += UInt64(block.count)
                line.update(done)
            }
        }
    }
}
