// SPDX-License-Identifier: Apache-2.0
import Testing

/// Tells code from comments and string literals, in Swift and in C, well enough for the checks.
///
/// It knows nested block comments, multi-line and raw strings and interpolations, but no regular expression literals
/// and no C character literals; what those may confuse ends with the line.
struct CodeScanner {
    private enum Context: Equatable {
        case lineComment
        case blockComment
        case string(hashes: Int, isMultiline: Bool)
        /// Code inside a string, up to the parenthesis that closes it.
        case interpolation(openParentheses: Int)

        var spansLines: Bool {
            switch self {
            case .blockComment, .string(_, isMultiline: true), .interpolation: true
            case .lineComment, .string(_, isMultiline: false): false
            }
        }
    }

    private let bytes: [UInt8]
    private var position = 0
    private var output: [UInt8] = []
    private var contexts: [Context] = []

    /// The text with spaces for all that is not code. Line breaks stay.
    static func codeOnly(_ text: String) -> String {
        var scanner = CodeScanner(bytes: Array(text.utf8))
        while scanner.position < scanner.bytes.count { scanner.step() }
        return String(decoding: scanner.output, as: UTF8.self)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
        output.reserveCapacity(bytes.count)
    }

    private mutating func step() {
        if bytes[position] == UInt8(ascii: "\n") {
            endLine()
            return
        }
        switch contexts.last {
        case .lineComment: blank(1)
        case .blockComment: stepInBlockComment()
        case .string(let hashes, let isMultiline): stepInString(hashes, isMultiline)
        case .interpolation, nil: stepInCode()
        }
    }

    /// Only block comments and multi-line strings, with the code inside them, go on in the next line.
    private mutating func endLine() {
        if let first = contexts.firstIndex(where: { !$0.spansLines }) { contexts.removeSubrange(first...) }
        keep(1)
    }

    private mutating func stepInCode() {
        if sees("//") {
            contexts.append(.lineComment)
        } else if sees("/*") {
            contexts.append(.blockComment)
            blank(2)
        } else if let (hashes, isMultiline) = openingQuote() {
            contexts.append(.string(hashes: hashes, isMultiline: isMultiline))
            keep(hashes + (isMultiline ? 3 : 1))
        } else if case .interpolation(let open) = contexts.last, sees("(") || sees(")") {
            let stillOpen = sees("(") ? open + 1 : open - 1
            contexts[contexts.count - 1] = .interpolation(openParentheses: stillOpen)
            if stillOpen == 0 { contexts.removeLast() }
            keep(1)
        } else {
            keep(1)
        }
    }

    private mutating func stepInBlockComment() {
        if sees("/*") {
            contexts.append(.blockComment)
            blank(2)
        } else if sees("*/") {
            contexts.removeLast()
            blank(2)
        } else {
            blank(1)
        }
    }

    private mutating func stepInString(_ hashes: Int, _ isMultiline: Bool) {
        let hashMarks = String(repeating: "#", count: hashes)
        let quote = (isMultiline ? "\"\"\"" : "\"") + hashMarks
        if sees(quote) {
            contexts.removeLast()
            keep(quote.utf8.count)
        } else if sees("\\" + hashMarks + "(") {
            contexts.append(.interpolation(openParentheses: 1))
            blank(2 + hashes)
        } else if sees("\\" + hashMarks) {
            blank(1 + hashes)
            if position < bytes.count, bytes[position] != UInt8(ascii: "\n") { blank(1) }
        } else {
            blank(1)
        }
    }

    /// How the string that starts here, if one does, is quoted.
    private func openingQuote() -> (hashes: Int, isMultiline: Bool)? {
        let hashes = bytes[position...].prefix { $0 == UInt8(ascii: "#") }.count
        guard sees("\"", after: hashes) else { return nil }
        return (hashes, sees("\"\"\"", after: hashes))
    }

    private func sees(_ text: String, after distance: Int = 0) -> Bool {
        bytes[min(position + distance, bytes.count)...].starts(with: text.utf8)
    }

    private mutating func keep(_ count: Int) {
        output += bytes[position..<min(position + count, bytes.count)]
        position += count
    }

    private mutating func blank(_ count: Int) {
        output += repeatElement(UInt8(ascii: " "), count: count)
        position += count
    }
}

@Suite("Tidy: what counts as code")
struct CodeScannerTests {
    @Test(
        "Comments and the insides of strings become spaces, code stays",
        arguments: [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x // y\") // z", "f(\"      \")     "),
            ("\"a\\\"b\" + c", "\"    \" + c"),
            ("\"\\(call(1) + \"s\") t\" u", "\"  call(1) + \" \")  \" u"),
            ("#\"a \"b\" \\(c)\"# d", "#\"          \"# d"),
            ("\"\"\"\n a \"b\"\n \"\"\" c", "\"\"\"\n      \n \"\"\" c"),
            ("\"open\ncode", "\"    \ncode"),
            ("// \"\ncode", "    \ncode"),
            ("/* \"\n */ code", "    \n    code"),
        ])
    func examples(text: String, expected: String) {
        #expect(CodeScanner.codeOnly(text) == expected)
    }
}
