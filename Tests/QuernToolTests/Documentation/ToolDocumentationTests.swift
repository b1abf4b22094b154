// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Testing

@testable import QuernTool

@Suite("Documentation of the tool")
struct ToolDocumentationTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs")

    /// With QUERN_WRITE_DOCUMENTATION set the file is written first.
    private func expect(_ name: String, _ text: String) throws {
        let file = Self.folder.appending(path: name)
        if ProcessInfo.processInfo.environment["QUERN_WRITE_DOCUMENTATION"] != nil {
            try Data(text.utf8).write(to: file)
        }
        let found = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        #expect(found == text, "docs/\(name) is not what the commands say: run `make manual`")
    }

    private var transcripts: [String: String] {
        get throws {
            let folder = Self.folder.appending(path: "transcripts")
            var found: [String: String] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".txt") {
                found[String(name.dropLast(4))] = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            }
            return found
        }
    }

    @Test("The manual page is what the commands say of themselves")
    func manual() throws {
        try expect("quern.1", ManualPage(tool: .current(), version: QuernTool.configuration.version).text)
    }

    @Test("The page of commands is what they say of themselves, with the transcripts")
    func page() throws {
        try expect("quern.md", CommandsPage(tool: .current(), transcripts: try transcripts).text)
    }

    @Test("Every command has a transcript, and every transcript a command")
    func everyTranscript() throws {
        let commands = Set(try ToolDescription.current().leaves.map(CommandsPage.file))
        #expect(commands.symmetricDifference(try transcripts.keys) == [])
    }

    @Test("Lines that man would take for requests, and backslashes, are escaped")
    func escapes() throws {
        let json = #"""
            {"command":{"commandName":"quern","shouldDisplay":true,"discussion":".x \\ a-b\n\n  $ '",
            "subcommands":[{"commandName":"a","shouldDisplay":true,"superCommands":["quern"],"abstract":"'q"}]}}
            """#
        let tool = try JSONDecoder().decode(ToolDescription.self, from: Data(json.utf8))
        let page = ManualPage(tool: tool, version: "1").text
        #expect(page.contains("\n\\&.x \\e a\\-b\n.PP\n.RS\n.nf\n$ '\n.fi\n.RE\n"))
        #expect(page.contains("\n.SS quern a\n\\&'q\n"))
    }
}
