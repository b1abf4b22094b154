// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern verify`: everything that a store holds, against its checksums and against all the rest.
struct Verify: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a store: every checksum, and everything against everything else.",
        discussion: """
            Reads every file once, with several threads, and says of each finding where it is and what it means: which \
            children, tasks or payloads are concerned. A store in use can be verified: nothing is written or locked, \
            and a write that is under way is no damage.

            A finding is damage when something that was written is not there as it was; spared when that is so and \
            a second copy tells the same, as the mirror of a checkpoint does; torn when a write was cut short that \
            nobody was told is on disk, as a crash leaves it; a note when nothing is wrong, such as a file that the \
            next writer removes. Damage and what was spared change the exit status.

            Exit status: 0 when nothing is damaged or was spared, 1 when something is, 3 when the store cannot be read \
            at all.

            Examples:
              quern verify /var/lib/service/tasks
              quern verify /var/lib/service/tasks --quick && backup /var/lib/service/tasks
              quern verify /var/lib/service/tasks --json | jq 'select(.severity == "damage")'
            """)

    @OptionGroup var store: StoreArgument
    @Flag(help: "Leave out the blocks of the index and the log before the checkpoint.")
    var quick = false
    @Option(help: "How many threads read at a time (default: one a processor).")
    var threads: Int?
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    func validate() throws {
        if let threads, !(1...256).contains(threads) { throw ValidationError("--threads must be from 1 to 256.") }
    }

    func run(into output: inout Output) throws {
        var options = StoreVerifier.Options(isQuick: quick)
        if let threads { options.threads = threads }
        let found = try ProgressLine.showing("verify", .bytes, progress) { progress in
            try StoreVerifier.verify(at: store.path, options: options) {
                progress(UInt64($0.done), UInt64($0.total))
            }
        }
        if found.isDamaged { output.noteFinding() }
        if format.json { try writeJSON(found, to: &output) } else { try write(found, to: &output) }
    }

    private func write(_ found: StoreVerification, to output: inout Output) throws {
        for finding in found.findings {
            let place = finding.offset.map { "\(finding.file) at \($0)" } ?? finding.file
            let text = (place.isEmpty ? "" : place + ": ") + "\(finding.what): \(finding.consequence)"
            try output.line(
                output.style.paint(finding.severity.name, finding.severity.colour) + " " + Printable.text(text))
        }
        if !found.findings.isEmpty { try output.line() }
        var table = Table(.left(), .right())
        if !found.isQuick {
            table.add("ended children", .number(found.children))
            table.add("blocks", .number(found.blocks))
        }
        table.add("live tasks", .number(found.liveTasks))
        if !found.isQuick { table.add("segments read", .text(Numbers.bytes(found.bytes))) }
        for severity in [StoreFinding.Severity.damage, .spared, .torn, .note] {
            let count = found.findings.count { $0.severity == severity }
            if count > 0 || severity == .damage { table.add([Table.Cell(severity.name), .number(count)]) }
        }
        try table.write(to: &output)
    }

    private func writeJSON(_ found: StoreVerification, to output: inout Output) throws {
        for finding in found.findings {
            try output.json {
                $0.field("type", "finding")
                $0.field("severity", finding.severity.name)
                $0.field("file", finding.file)
                $0.field("offset", finding.offset)
                $0.field("what", finding.what)
                $0.field("consequence", finding.consequence)
            }
        }
        try output.json {
            $0.field("type", "summary")
            $0.field("damaged", found.isDamaged)
            $0.field("quick", found.isQuick)
            $0.field("children", found.isQuick ? nil : found.children)
            $0.field("blocks", found.isQuick ? nil : found.blocks)
            $0.field("live_tasks", found.liveTasks)
            $0.field("segment_bytes", found.isQuick ? nil : found.bytes)
        }
    }
}

extension StoreFinding.Severity {
    var name: String {
        switch self {
        case .damage: "damage"
        case .spared: "spared"
        case .torn: "torn"
        case .note: "note"
        }
    }

    fileprivate var colour: Style.Colour {
        switch self {
        case .damage: .red
        case .spared: .yellow
        case .torn: .yellow
        case .note: .dim
        }
    }
}
