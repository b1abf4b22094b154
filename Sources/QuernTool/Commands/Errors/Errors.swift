// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern errors`: why the children of a task failed.
struct Errors: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Group the failed children of a task by reason, with samples.",
        discussion: """
            Reads only blocks in which somebody failed. Task 0 has the root tasks as its children. Details are cut \
            behind 4 KiB, and of reasons and samples it keeps what fits into 64 MiB: what comes first.

            Examples:
              quern errors /var/lib/service/tasks 1
              quern errors /var/lib/service/tasks 1 --classes 3 --samples 10 --json
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The id of the parent; 0 for the root tasks.")
    var id: TaskID
    @Option(help: "At most so many reasons, those of most children first.")
    var classes = 20
    @Option(help: "At most so many samples for each reason.")
    var samples = 3
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    func validate() throws {
        guard (0...4096).contains(classes), (0...10_000).contains(samples) else {
            throw ValidationError("--classes takes 0 to 4096, --samples 0 to 10000")
        }
    }

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        if id != .none, !store.isLive(id), !store.isParent(id) {
            throw ToolError(.findings, "task \(id) has no children here, and is not live")
        }
        var groups = FailureGroups(samples: samples)
        var walk = ChildWalk(
            of: id, in: store, columns: [.errors, .facts], failed: true, label: "errors", progress: progress)
        try walk.forEach(&output) { (block, index, _) throws(OutputFailure) in
            groups.add(index, of: block)
        }
        let counts = store.children(of: id).counts
        let largest = groups.largest(classes)
        if format.json {
            try writeJSON(largest, &output)
        } else {
            try write(largest, total: groups.total, of: counts, &output)
        }
    }

    private func write(
        _ largest: (groups: [FailureGroups.Group], others: UInt64), total: UInt64, of counts: OutcomeCounts,
        _ output: inout Output
    ) throws(OutputFailure) {
        try output.line("\(Numbers.grouped(total)) of \(Numbers.grouped(counts.total)) ended children failed")
        for group in largest.groups {
            try output.line()
            let share = Numbers.percent(Double(group.counts.total), of: Double(total))
            let reason = output.style.paint(Printable.text(group.text), .red)
            try output.line("\(reason): \(group.counts.text) (\(share))")
            try output.line("  from \(Numbers.time(group.first)) to \(Numbers.time(group.last))")
            for sample in group.samples {
                let detail = Printable.text(String(decoding: sample.detail, as: UTF8.self))
                try output.line("  task \(sample.id)" + (detail.isEmpty ? "" : ": \(detail)"))
            }
        }
        if largest.others > 0 { try output.line("\n\(Numbers.grouped(largest.others)) with other reasons") }
    }

    private func writeJSON(
        _ largest: (groups: [FailureGroups.Group], others: UInt64), _ output: inout Output
    ) throws(OutputFailure) {
        for group in largest.groups {
            try output.json { json in
                json.field(group.isRaw ? "error_hex" : "reason", group.text)
                json.field("count", group.counts.total)
                json.object("outcomes") { group.counts.append(to: &$0) }
                json.field("first_ended_ms", group.first.rawValue)
                json.field("last_ended_ms", group.last.rawValue)
                json.array("samples") { json in
                    for sample in group.samples {
                        json.objectValue { json in
                            json.field("id", sample.id.rawValue)
                            sample.detail.withUnsafeBytes { json.text("detail", $0) }
                        }
                    }
                }
            }
        }
        if largest.others > 0 {
            try output.json { json in
                json.null("reason")
                json.field("count", largest.others)
            }
        }
    }
}
