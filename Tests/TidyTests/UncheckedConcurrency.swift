// SPDX-License-Identifier: Apache-2.0
import Testing

/// Where the compiler's proof of safety is switched off, a comment proves it instead.
enum UncheckedConcurrency {
    private static let switches = ["@unchecked Sendable", "nonisolated(unsafe)"]

    static func findings(in file: SourceFile) -> [Finding] {
        file.code.indices.flatMap { index in
            switches.filter { file.code[index].contains($0) && !hasCommentAbove(index, in: file) }
                .map { file.finding(index + 1, "`\($0)` needs a comment above it that says why it is safe") }
        }
    }

    /// Whether a comment stands right above, with at most attributes in between.
    private static func hasCommentAbove(_ index: Int, in file: SourceFile) -> Bool {
        let above = file.lines[..<index].last { !$0.trimmed.hasPrefix("@") }
        return above?.trimmed.hasPrefix("//") == true
    }
}

extension String {
    fileprivate var trimmed: Substring { drop(while: \.isWhitespace) }
}

@Suite("Tidy: unchecked concurrency")
struct UncheckedConcurrencyTests {
    @Test("Each @unchecked Sendable and nonisolated(unsafe) has its reason above it")
    func tree() { expectNone(SourceTree.files.flatMap(UncheckedConcurrency.findings)) }

    @Test(
        "One without a reason is found",
        arguments: [
            "final class A: @unchecked Sendable {}", "nonisolated(unsafe) var a = 1",
            "let b = 1  // a comment beside another line\nnonisolated(unsafe) var a = 1",
            "// too far away\n\nextension A: @unchecked Sendable {}",
        ])
    func found(text: String) {
        let findings = UncheckedConcurrency.findings(in: SourceFile(path: "Sources/Quern/A.swift", text: text))
        #expect(findings.map(\.line) == [text.split(separator: "\n", omittingEmptySubsequences: false).count])
    }

    @Test(
        "One with a reason is not, nor is one in prose",
        arguments: [
            "/// Safe: all access is under the lock.\nfinal class A: @unchecked Sendable {}",
            "// Written once, before the first thread starts.\n@usableFromInline\nnonisolated(unsafe) var a = 1",
            "// no nonisolated(unsafe) here\nlet a = \"@unchecked Sendable\"",
        ])
    func notFound(text: String) {
        #expect(UncheckedConcurrency.findings(in: SourceFile(path: "Sources/Quern/A.swift", text: text)).isEmpty)
    }
}
