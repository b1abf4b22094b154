// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The ended children of a parent as comma-separated values (RFC 4180), a line each.
struct ChildrenCSV {
    /// The names behind the labels.
    let names: [String]

    func writeHeader(to output: inout Output) throws(OutputFailure) {
        output.buffer.append("id,sequence,kind,type,attempts,started,ended,memo,error")
        try output.endLine()
    }

    func write(_ block: borrowing ChildBlock, to output: inout Output) throws(OutputFailure) {
        for index in 0..<block.count {
            let kind = block.kind(at: index)
            output.buffer.append(decimal: block.id(at: index).rawValue)
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.sequence(at: index))
            output.buffer.append(0x2C)
            output.buffer.append(kind.exchangeName)
            output.buffer.append(0x2C)
            let label = Int(block.label(at: index).rawValue)
            if (1...max(names.count, 1)).contains(label), label <= names.count { text(names[label - 1], &output) }
            output.buffer.append(0x2C)
            output.buffer.append(decimal: UInt64(block.attempts(at: index)))
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.startedAt(at: index).rawValue)
            output.buffer.append(0x2C)
            output.buffer.append(decimal: block.endedAt(at: index).rawValue)
            output.buffer.append(0x2C)
            block.withValue(at: index) { value in
                value.withUnsafeBytes { bytes in
                    if kind == .completed {
                        output.buffer.append(hex: bytes)
                        output.buffer.append(0x2C)
                    } else {
                        output.buffer.append(0x2C)
                        text(String(decoding: bytes, as: UTF8.self), &output)
                    }
                }
            }
            try output.endLine()
        }
    }

    /// A text, in quotes where it must be.
    private func text(_ text: String, _ output: inout Output) {
        let special: Set<UInt8> = [0x22, 0x2C, 0x0A, 0x0D]
        guard text.utf8.contains(where: special.contains) else { return output.buffer.append(text: text) }
        output.buffer.append(0x22)
        for byte in text.utf8 {
            if byte == 0x22 { output.buffer.append(0x22) }
            output.buffer.append(byte)
        }
        output.buffer.append(0x22)
    }
}
