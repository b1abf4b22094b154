// SPDX-License-Identifier: Apache-2.0
import Testing

/// The licence in the first line, and plain characters below it.
enum Headers {
    static let licence = "// SPDX-License-Identifier: Apache-2.0"

    static func licenceFindings(in file: SourceFile) -> [Finding] {
        // The package manager wants its own comment in the first line.
        if file.path.hasSuffix("Package.swift") { return [] }
        return file.lines.first == licence ? [] : [file.finding(1, "the first line is not `\(licence)`")]
    }

    static func characterFindings(in file: SourceFile) -> [Finding] {
        if file.isIn("Tests/") { return [] }
        return file.lines.enumerated().compactMap { index, line in
            line.unicodeScalars.first { !$0.isASCII }.map { file.finding(index + 1, "`\($0)` is not ASCII") }
        }
    }
}

@Suite("Tidy: headers and characters")
struct HeadersTests {
    @Test("Every Swift and C file starts with the licence")
    func licences() { expectNone(SourceTree.files.flatMap(Headers.licenceFindings)) }

    @Test("Sources are plain ASCII")
    func characters() { expectNone(SourceTree.files.flatMap(Headers.characterFindings)) }

    @Test(
        "A file without the licence in its first line is found", arguments: ["", "import A\n", "\n" + Headers.licence])
    func noLicence(text: String) {
        let findings = Headers.licenceFindings(in: SourceFile(path: "Sources/Quern/A.swift", text: text))
        #expect(findings.map(\.line) == [1])
        #expect(Headers.licenceFindings(in: SourceFile(path: "Package.swift", text: text)).isEmpty)
    }

    @Test("A character beyond ASCII is found in sources, and allowed in tests")
    func notASCII() {
        let text = "let a = 1\n// caf\u{E9}\n"
        let findings = Headers.characterFindings(in: SourceFile(path: "Sources/Quern/A.swift", text: text))
        #expect(findings.map(\.description) == ["Sources/Quern/A.swift:2: `\u{E9}` is not ASCII"])
        #expect(Headers.characterFindings(in: SourceFile(path: "Tests/QuernTests/A.swift", text: text)).isEmpty)
    }
}
