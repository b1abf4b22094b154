// SPDX-License-Identifier: Apache-2.0
import Testing

/// The patches that `make mutants` breaks the code with still say what the code says.
@Suite struct MutantsTests {
    @Test func mutantsApply() throws {
        let patches = SourceTree.paths.filter { $0.hasPrefix("Tests/Mutants/") && $0.hasSuffix(".patch") }
        #expect(patches.count >= 10)
        for patch in patches {
            let lines = try #require(SourceTree.text(of: patch))
                .split(separator: "\n", omittingEmptySubsequences: false)
            let path = try #require(lines.first { $0.hasPrefix("--- a/") }?.dropFirst(6), "\(patch)")
            let source = try #require(SourceTree.text(of: String(path)))
            // Each hunk's lines as they were: those that stay and those that go.
            for hunk in lines.split(whereSeparator: { $0.hasPrefix("@@") }).dropFirst() {
                let before = hunk.filter { $0.hasPrefix(" ") || $0.hasPrefix("-") }.map { $0.dropFirst() }
                let applies = source.contains(before.joined(separator: "\n"))
                #expect(applies, "\(patch) does not apply to \(path)")
            }
        }
    }
}
