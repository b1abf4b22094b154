// SPDX-License-Identifier: Apache-2.0
import Testing

/// Lines and files that a reader can take in.
enum Lengths {
    static let columns = 120

    /// Files that may be longer than their folder's limit, with the limit and the reason.
    static let exceptions: [String: (limit: Int, reason: String)] = [:]

    static func findings(in file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() where line.count > columns {
            findings.append(file.finding(index + 1, "the line has \(line.count) columns, \(columns) are allowed"))
        }
        let limit = exceptions[file.path]?.limit ?? limit(for: file)
        if file.lines.count > limit {
            findings.append(file.finding(limit + 1, "the file has \(file.lines.count) lines, \(limit) are allowed"))
        }
        return findings
    }

    private static func limit(for file: SourceFile) -> Int { file.isIn("Tests/", "Benchmarks/") ? 600 : 400 }
}

@Suite("Tidy: lengths")
struct LengthsTests {
    @Test("No line is longer than 120 columns, no source file than 400 lines, no test than 600")
    func tree() { expectNone(SourceTree.files.flatMap(Lengths.findings)) }

    @Test("Every exception names a file that exists and gives a reason")
    func exceptions() {
        for (path, exception) in Lengths.exceptions {
            #expect(SourceTree.paths.contains(path))
            #expect(!exception.reason.isEmpty)
        }
    }

    @Test("A line of 121 columns is found")
    func longLine() {
        let text = String(repeating: "a", count: 120) + "\n" + String(repeating: "b", count: 121) + "\n"
        let findings = Lengths.findings(in: SourceFile(path: "Sources/A.swift", text: text))
        #expect(findings.map(\.description) == ["Sources/A.swift:2: the line has 121 columns, 120 are allowed"])
    }

    @Test("A file of one line too many is found", arguments: [("Sources/A.swift", 400), ("Tests/A.swift", 600)])
    func longFile(path: String, limit: Int) {
        let longest = SourceFile(path: path, text: String(repeating: "a\n", count: limit))
        let longer = SourceFile(path: path, text: String(repeating: "a\n", count: limit + 1))
        #expect(Lengths.findings(in: longest).isEmpty)
        #expect(Lengths.findings(in: longer).map(\.line) == [limit + 1])
    }
}
