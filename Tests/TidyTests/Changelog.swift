// SPDX-License-Identifier: Apache-2.0
import Testing

/// The form of CHANGELOG.md, after keepachangelog.com: newest first, and kinds of changes from a fixed list.
enum Changelog {
    static let path = "CHANGELOG.md"
    private static let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]

    static func findings(in file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        var releases: [[Int]] = []
        var sections = 0
        var kindsSeen: Set<String> = []
        if file.lines.first != "# Changelog" { findings.append(file.finding(1, "the title is not `# Changelog`")) }
        for (index, line) in file.lines.enumerated() {
            func report(_ message: String) { findings.append(file.finding(index + 1, message)) }
            if line.hasPrefix("### ") {
                let kind = String(line.dropFirst(4))
                if sections == 0 { report("`\(line)` stands under no release") }
                if !kinds.contains(kind) { report("`\(kind)` is none of \(kinds.joined(separator: ", "))") }
                if !kindsSeen.insert(kind).inserted { report("`\(kind)` is there twice in one release") }
                if !hasItem(below: index, in: file.lines) { report("`\(kind)` lists nothing") }
            } else if line.hasPrefix("## ") {
                sections += 1
                kindsSeen = []
                if (line == "## [Unreleased]") != (sections == 1) {
                    report("`## [Unreleased]` comes first, and once")
                } else if sections > 1 {
                    guard let version = version(of: line) else {
                        report("the release is not written as `## [1.2.3] - 2026-01-31`")
                        continue
                    }
                    if let last = releases.last, !version.lexicographicallyPrecedes(last) {
                        report("the release is not older than the one above it")
                    }
                    releases.append(version)
                }
            }
        }
        if sections == 0 { findings.append(file.finding(1, "there is no `## [Unreleased]`")) }
        return findings
    }

    private static func version(of heading: String) -> [Int]? {
        guard let match = heading.wholeMatch(of: /## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d{2}-\d{2}/) else { return nil }
        return [match.1, match.2, match.3].compactMap { Int($0) }
    }

    private static func hasItem(below heading: Int, in lines: [String]) -> Bool {
        lines[(heading + 1)...].first { !$0.isEmpty }?.hasPrefix("- ") == true
    }
}

@Suite("Tidy: changelog")
struct ChangelogTests {
    @Test("CHANGELOG.md keeps its form")
    func tree() throws {
        let text = try #require(SourceTree.text(of: Changelog.path))
        expectNone(Changelog.findings(in: SourceFile(path: Changelog.path, text: text)))
    }

    @Test("A good one passes")
    func good() {
        let text = """
            # Changelog

            ## [Unreleased]
            ### Added
            - A thing.

            ### Fixed

            - Another.

            ## [1.10.0] - 2026-02-01
            ### Added
            - A thing.

            ## [1.9.3] - 2026-01-31
            ### Security
            - A thing.
            """
        #expect(Changelog.findings(in: SourceFile(path: Changelog.path, text: text)) == [])
    }

    @Test(
        "Each fault is found in its line",
        arguments: [
            ("", [1, 1]),
            ("# Changes\n## [Unreleased]", [1]),
            ("# Changelog\n", [1]),
            ("# Changelog\n## [1.0.0] - 2026-01-31", [2]),
            ("# Changelog\n## [Unreleased]\n## [Unreleased]", [3]),
            ("# Changelog\n## [Unreleased]\n## 1.0.0", [3]),
            ("# Changelog\n## [Unreleased]\n## [1.9.0] - 2026-01-31\n## [1.10.0] - 2026-02-01", [4]),
            ("# Changelog\n## [Unreleased]\n### Improved\n- A", [3]),
            ("# Changelog\n## [Unreleased]\n### Added\n- A\n### Added\n- B", [5]),
            ("# Changelog\n## [Unreleased]\n### Added\n### Fixed\n- B", [3]),
            ("# Changelog\n### Added\n- A\n## [Unreleased]", [2]),
        ])
    func faults(text: String, lines: [Int]) {
        #expect(Changelog.findings(in: SourceFile(path: Changelog.path, text: text)).map(\.line) == lines)
    }
}
