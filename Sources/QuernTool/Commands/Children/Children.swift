// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern children`: the ended children of a task.
struct Children: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the ended children of a task, or sums over their memos.",
        discussion: """
            A line a child, in the order in which they ended, however many there are. Task 0 has the root tasks as \
            its children. Memos are printed in hexadecimal digits, or as --layout says; --sum and --stats print one \
            line for each number of the layout instead.

            Examples:
              quern children /var/lib/service/tasks 1 --failed
              quern children /var/lib/service/tasks 1 --after 120000 --limit 1000 --json
              quern children /var/lib/service/tasks 1 --stats --layout 'u64 discovered,u64 skipped,u64 deleted'
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The id of the parent; 0 for the root tasks.")
    var id: TaskID
    @OptionGroup var layout: LayoutOptions
    @Flag(help: "Only children that failed: failed, dead_lettered, expired or dependency_failed.")
    var failed = false
    @Option(help: "Only children behind this sequence.")
    var after: UInt64?
    @Option(help: "At most so many children.")
    var limit: UInt64?
    @Flag(help: "Print the sum of each number of the layout.")
    var sum = false
    @Flag(help: "Print count, sum, smallest, largest and mean of each number of the layout.")
    var stats = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    func validate() throws {
        guard sum || stats else { return }
        guard let layout = layout.layout, layout.fields.contains(where: \.isNumber) else {
            throw ValidationError("--sum and --stats need a --layout with numbers")
        }
        if sum, stats { throw ValidationError("--sum or --stats, not both: --stats has the sums too") }
    }

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        if id != .none, !store.isLive(id), !store.isParent(id) {
            throw ToolError(.findings, "task \(id) has no children here, and is not live")
        }
        if sum || stats { try count(in: store, &output) } else { try list(store, &output) }
    }

    private func list(_ store: OfflineStore, _ output: inout Output) throws {
        var writer = ChildWriter(store, layout: layout.layout, isJSON: format.json)
        var walk = ChildWalk(of: id, in: store, self, columns: .all)
        defer { if writer.misfits > 0 { output.finding("\(writer.misfits) memos are not of the layout") } }
        try writer.writeHeading(to: &output)
        try walk.forEach(&output) { (block, index, output) throws(OutputFailure) in
            try writer.write(index, of: block, to: &output)
        }
    }

    private func count(in store: OfflineStore, _ output: inout Output) throws {
        guard let layout = layout.layout else { return }
        var statistics = LayoutStatistics(layout)
        var walk = ChildWalk(of: id, in: store, self, columns: [.memos, .facts])
        try walk.forEach(&output) { (block, index, _) throws(OutputFailure) in
            guard block.kind(at: index) == .completed else { return }
            block.withValue(at: index) { value in value.withUnsafeBytes { statistics.add($0) } }
        }
        if let misfit = statistics.firstMisfit {
            output.finding("\(statistics.misfits) memos are not of the layout and do not count; the first: \(misfit)")
        }
        try statistics.write(to: &output, isJSON: format.json, sumOnly: sum)
    }
}

/// A walk over the ended children that a command wants, which tells how far it is.
struct ChildWalk {
    private var children: OfflineChildren
    private let failed: Bool
    private var left: UInt64
    private var line: ProgressLine

    init(of id: TaskID, in store: OfflineStore, _ command: Children, columns: ChildColumns) {
        self.init(
            of: id, in: store, columns: columns, failed: command.failed, after: command.after, limit: command.limit,
            label: "children", progress: command.progress)
    }

    init(
        of id: TaskID, in store: OfflineStore, columns: ChildColumns, failed: Bool, after: UInt64? = nil,
        limit: UInt64? = nil, label: String, progress: ProgressOptions
    ) {
        children = store.children(of: id, columns: columns)
        if let after { children.skip(behind: after) }
        self.failed = failed
        left = limit ?? .max
        let total = min(failed ? children.counts.failures : children.counts.total, left)
        line = ProgressLine(label, .items("children"), of: total, isWanted: progress.progress)
    }

    /// What cannot be read is told.
    mutating func forEach(
        _ output: inout Output,
        _ body: (borrowing ChildBlock, _ index: Int, inout Output) throws(OutputFailure) -> Void
    ) throws(OutputFailure) {
        defer { line.finish() }
        var block = ChildBlock()
        var done: UInt64 = 0
        while left > 0 {
            if failed { children.skipBlocksWithoutFailures() }
            guard let item = children.next(into: &block) else { break }
            if case .lost(let finding, _) = item {
                output.finding(finding.line)
                continue
            }
            for index in 0..<block.count where !failed || block.kind(at: index).isFailure {
                try body(block, index, &output)
                done += 1
                left -= 1
                if left == 0 { break }
            }
            line.update(done)
        }
    }
}
