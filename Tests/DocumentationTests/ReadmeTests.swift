// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

/// What README.md says must be so.
@Suite struct ReadmeTests {
    private func text(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test func theExampleIsTheOneThatIsCompiled() throws {
        let source = try text("Tests/DocumentationTests/ReadmeExample.swift")
        let parts = source.components(separatedBy: "// begin README\n")
        let example = try #require(parts.last).components(separatedBy: "// end README")[0]
        #expect(parts.count == 2)
        let readme = try text("README.md")
        #expect(readme.contains("```swift\n\(example)```\n"))
    }

    @Test func theExampleDoesWhatItSays() async throws {
        let directory = try TemporaryDirectory()
        let total = try await countWords(["one two three", "", "four"], storeAt: directory.path.appending("store"))
        #expect(total.words == 4)
        #expect(total.problems.hasPrefix("1 of 3 failed: empty text: task "))
    }

    @Test func theCommandsOfTheReadmeAreTargetsOfTheMakefile() throws {
        let readme = try text("README.md")
        let makefile = try text("Makefile")
        let commands = readme.split(separator: "\n").filter { $0.hasPrefix("make ") }
        #expect(commands.count >= 2)
        for command in commands {
            let target = command.split(separator: " ")[1]
            #expect(makefile.contains("\n\(target):"), "\(command)")
        }
    }
}
