// SPDX-License-Identifier: Apache-2.0

/// A source file as the checks see it: its path from the repository's root, its lines, and its lines again with only
/// the code in them.
struct SourceFile: Sendable {
    let path: String
    let lines: [String]

    /// The lines with comments and the insides of string literals as spaces, so that a word in prose or in a test's
    /// input is not taken for code.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = Self.split(text)
        code = Self.split(CodeScanner.codeOnly(text))
    }

    /// Whether the file lies in one of the folders, each written with a slash at its end.
    func isIn(_ folders: String...) -> Bool { folders.contains { path.hasPrefix($0) } }

    var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }

    func finding(_ line: Int, _ message: String) -> Finding { Finding(path: path, line: line, message: message) }

    private static func split(_ text: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}

/// Something untidy, and where.
struct Finding: Sendable, Equatable, CustomStringConvertible {
    let path: String
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}
