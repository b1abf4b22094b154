// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Prints ended children, a line a child, without a string for each.
struct ChildWriter {
    /// Without a layout people see so much of a memo, in bytes.
    private static let shownBytes = 32

    private let names: TypeNames
    private let layout: MemoLayout?
    private let isJSON: Bool
    /// Children whose memos are not of the layout.
    private(set) var misfits: UInt64 = 0

    init(_ store: OfflineStore, layout: MemoLayout?, isJSON: Bool) {
        names = TypeNames(store)
        self.layout = layout
        self.isJSON = isJSON
    }

    func writeHeading(to output: inout Output) throws(OutputFailure) {
        if isJSON { return }
        try output.line(
            output.style.paint(
                "          ID      SEQUENCE  OUTCOME            TRIES  ENDED                     TYPE  MEMO OR ERROR",
                .bold))
    }

    mutating func write(_ index: Int, of block: borrowing ChildBlock, to output: inout Output) throws(OutputFailure) {
        if isJSON { return try writeJSON(index, of: block, to: &output) }
        let kind = block.kind(at: index)
        output.buffer.append(decimal: block.id(at: index).rawValue, width: 12)
        output.buffer.append("  ")
        output.buffer.append(decimal: block.sequence(at: index), width: 12)
        output.buffer.append("  ")
        write(kind, to: &output)
        output.buffer.append(decimal: UInt64(block.attempts(at: index)), width: 5)
        output.buffer.append("  ")
        output.buffer.append(time: block.endedAt(at: index))
        output.buffer.append("  ")
        var type = names[block.label(at: index)]
        type.withUTF8 { output.buffer.append(printable: UnsafeRawBufferPointer($0)) }
        output.buffer.append("  ")
        block.withValue(at: index) { value in
            value.withUnsafeBytes { bytes in
                if kind != .completed { return ErrorBytes.append(bytes, to: &output.buffer) }
                guard let layout else { return Self.appendStart(of: bytes, to: &output.buffer) }
                if !layout.append(bytes, to: &output.buffer) { misfits += 1 }
            }
        }
        try output.endLine()
    }

    private static func appendStart(of bytes: UnsafeRawBufferPointer, to buffer: inout TextBuffer) {
        guard bytes.count > shownBytes else { return buffer.append(hex: bytes) }
        buffer.append(hex: UnsafeRawBufferPointer(rebasing: bytes[..<shownBytes]))
        buffer.append("... ")
        buffer.append(decimal: UInt64(bytes.count))
        buffer.append(" bytes")
    }

    private func write(_ kind: OutcomeKind, to output: inout Output) {
        if output.style.hasColours {
            let name = "\(kind.name)"
            output.buffer.append(text: output.style.paint(name, kind.colour))
            output.buffer.append(text: String(repeating: " ", count: 19 - name.utf8.count))
            return
        }
        output.buffer.append(kind.name)
        for _ in kind.name.utf8CodeUnitCount..<19 { output.buffer.append(0x20) }
    }

    private mutating func writeJSON(
        _ index: Int, of block: borrowing ChildBlock, to output: inout Output
    ) throws(OutputFailure) {
        let kind = block.kind(at: index)
        var fits = true
        try output.json { json in
            json.field("id", block.id(at: index).rawValue)
            json.field("sequence", block.sequence(at: index))
            json.text("outcome", kind.name)
            json.field("type", names[block.label(at: index)])
            json.field("attempts", UInt64(block.attempts(at: index)))
            json.field("started_ms", block.startedAt(at: index).rawValue)
            json.field("ended_ms", block.endedAt(at: index).rawValue)
            block.withValue(at: index) { value in
                value.withUnsafeBytes { bytes in
                    guard kind == .completed else { return ErrorBytes.append(bytes, to: &json) }
                    json.beginField("memo")
                    fits = (layout ?? .hex).append(bytes, to: &json)
                }
            }
        }
        if !fits { misfits += 1 }
    }
}
