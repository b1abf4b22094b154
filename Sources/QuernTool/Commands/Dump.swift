// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern dump`: a file of a store, frame by frame and record by record.
struct Dump: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a segment, checkpoint or manifest frame by frame and record by record.",
        discussion: """
            Fields are called as in FORMAT.md. Damaged places are shown with their offset and their first bytes, and \
            what is behind them is printed. The file may lie elsewhere than in its store.

            With --redact, payloads, memos, errors, values and their names, keys, attributes, and bytes that may hold \
            such are left out and their lengths printed, so that the output can go into a bug report. Names of task \
            types are printed.

            Exit status: 0, 1 when something in the file is damaged, 3 when it cannot be read.

            Examples:
              quern dump /var/lib/service/tasks/MANIFEST
              quern dump /var/lib/service/tasks/log-0000000007 --from 1048576 --limit 3
              quern dump /var/lib/service/tasks/index-0000000002 --redact > report.txt
              quern dump /var/lib/service/tasks/log-0000000007 --json | jq 'select(.name == "advance")'
            """)

    @Argument(help: "The file.", completion: .file())
    var file: String
    @Flag(help: "Leave out what the application wrote; lengths stay.")
    var redact = false
    @Option(help: "Begin with the first frame at or behind this byte of the file.")
    var from = 0
    @Option(help: "Stop behind so many frames.")
    var limit: Int?
    @OptionGroup var format: FormatOptions

    func validate() throws {
        if from < 0 { throw ValidationError("--from must not be negative.") }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1.") }
    }

    func run(into output: inout Output) throws {
        var dump = try FileDump(of: FilePath(file), options: .init(redacts: redact, start: from))
        var failure: OutputFailure?
        var frames = 0
        var hasMore = true
        while hasMore, frames < limit ?? .max {
            hasMore = try dump.next { item in
                if item.kind == .frame { frames += 1 }
                if item.problem != nil { output.noteFinding() }
                // In the middle of a frame nothing can be stopped.
                guard failure == nil else { return }
                do throws(OutputFailure) { try write(item, to: &output) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }

    // MARK: Lines

    private func write(_ item: DumpItem, to output: inout Output) throws(OutputFailure) {
        if format.json { return try output.json { item.write(to: &$0) } }
        var text = String(repeating: "  ", count: item.level)
        if item.kind != .row { text += "\(item.offset) " }
        text += output.style.paint(item.title, item.level == 0 ? .bold : nil)
        for field in item.fields { text += " \(field.name)=" + Printable.text(field.value.text) }
        if let problem = item.problem { text += " " + output.style.paint("DAMAGED: " + Printable.text(problem), .red) }
        try output.line(text)
    }
}

extension DumpItem {
    fileprivate var level: Int {
        switch kind {
        case .fileHeader, .frame, .gap: 0
        case .record, .block: 1
        case .row: 2
        }
    }

    fileprivate var title: String {
        switch kind {
        case .fileHeader: "file header \(name)"
        case .frame: "frame \(name)"
        case .gap: name
        case .record, .block, .row: name
        }
    }

    fileprivate func write(to line: inout JSONLine) {
        line.field("type", kind.rawValue)
        line.field("name", name)
        line.field(level == 0 ? "offset" : "body_offset", offset)
        line.object("fields") { object in
            for field in fields { object.field(named: field.name) { field.value.write(to: &$0) } }
        }
        line.field("problem", problem)
    }
}

extension DumpField.Value {
    fileprivate var text: String {
        switch self {
        case .number(let number): String(number)
        case .signed(let number): String(number)
        case .checksum(let checksum): Self.hex(UInt64(checksum), digits: 8)
        case .bits(let bits): "0x" + String(bits, radix: 16)
        case .time(let time): time == .min ? "none" : Numbers.time(Timestamp(milliseconds: time))
        case .flag(let flag): flag ? "yes" : "no"
        case .text(let text): "\"\(text)\""
        case .numbers(let numbers): "[" + numbers.map(String.init).joined(separator: ",") + "]"
        case .bytes(let bytes): bytes.isEmpty ? "-" : Self.hex(bytes)
        case .redacted(let count): "<\(count) bytes>"
        }
    }

    fileprivate func write(to line: inout JSONLine) {
        switch self {
        case .number(let number): line.value(number)
        case .signed(let number), .time(let number): line.value(number)
        case .checksum, .bits: line.value(text)
        case .flag(let flag): line.value(flag)
        case .text(let text): line.value(text)
        case .numbers(let numbers): line.value(numbers)
        case .bytes(let bytes): bytes.withUnsafeBytes { line.hexValue($0) }
        case .redacted(let count): line.objectValue { $0.field("redacted", count) }
        }
    }

    private static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        var buffer = TextBuffer()
        bytes.withUnsafeBytes { buffer.append(hex: $0) }
        return buffer.text
    }
}

extension JSONLine {
    fileprivate mutating func value(_ numbers: [UInt64]) {
        arrayValue { array in for number in numbers { array.value(number) } }
    }
}
