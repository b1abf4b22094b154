// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The ended children of a parent as comma-separated values (RFC 4180), a line each, times in milliseconds since 1970.
///
/// A layout of fields makes a column of each; another one has the memo in one column, as everything has it that does
/// not fit, in hexadecimal digits.
struct ChildrenCSV {
    /// The names behind the labels.
    let names: [String]
    let layout: MemoLayout
    /// Memos that were not of the layout.
    private(set) var misfits: UInt64 = 0
    private var cell = TextBuffer()

    init(names: [String], layout: MemoLayout?) {
        self.names = names
        self.layout = layout ?? .hex
    }

    mutating func writeHeader(to output: inout Output) throws(OutputFailure) {
        output.buffer.append("id,sequence,kind,type,attempts,started,ended,")
        for field in layout.fields where field.isPrinted {
            write(text: field.name, to: &output.buffer)
            output.buffer.append(0x2C)
        }
        output.buffer.append(layout.fields.isEmpty ? "memo,error" : "misfit,error")
        try output.endLine()
    }

    mutating func write(_ block: borrowing ChildBlock, to output: inout Output) throws(OutputFailure) {
        for index in 0..<block.count {
            let kind = block.kind(at: index)
            output.buffer.append(decimal: block.id(at: index).rawValue)
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.sequence(at: index))
            output.buffer.append(0x2C)
            output.buffer.append(kind.name)
            output.buffer.append(0x2C)
            let label = Int(block.label(at: index).rawValue)
            if names.indices.contains(label - 1) { write(text: names[label - 1], to: &output.buffer) }
            output.buffer.append(0x2C)
            output.buffer.append(decimal: UInt64(block.attempts(at: index)))
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.startedAt(at: index).rawValue)
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.endedAt(at: index).rawValue)
            output.buffer.append(0x2C)
            block.withValue(at: index) { value in
                value.withUnsafeBytes { bytes in
                    write(memo: kind == .completed ? bytes : nil, to: &output.buffer)
                    output.buffer.append(0x2C)
                    if kind != .completed { write(bytes: bytes, to: &output.buffer) }
                }
            }
            try output.endLine()
        }
    }

    private mutating func write(memo: UnsafeRawBufferPointer?, to buffer: inout TextBuffer) {
        let fits = memo.map { layout.misfit($0) == nil } ?? false
        for field in layout.fields where field.isPrinted {
            if let memo, fits {
                cell.removeAll()
                if field.kind == .utf8 { cell.append(field.bytes(in: memo)) } else { field.append(memo, to: &cell) }
                cell.withBytes { write(bytes: $0, to: &buffer) }
            }
            buffer.append(0x2C)
        }
        guard let memo, !fits || layout.fields.isEmpty else { return }
        if !fits { misfits += 1 }
        switch layout.form {
        case .text where fits, .json where fits: write(bytes: memo, to: &buffer)
        default: buffer.append(hex: memo)
        }
    }

    private func write(text: String, to buffer: inout TextBuffer) {
        var text = text
        text.withUTF8 { write(bytes: UnsafeRawBufferPointer($0), to: &buffer) }
    }

    /// A text, in quotes where it must be.
    private func write(bytes: UnsafeRawBufferPointer, to buffer: inout TextBuffer) {
        let isPlain = bytes.allSatisfy { $0 != 0x22 && $0 != 0x2C && $0 != 0x0A && $0 != 0x0D }
        if isPlain { return buffer.append(bytes) }
        buffer.append(0x22)
        for byte in bytes {
            if byte == 0x22 { buffer.append(0x22) }
            buffer.append(byte)
        }
        buffer.append(0x22)
    }
}
