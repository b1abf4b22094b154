// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing

@testable import QuernTool

@Suite("Usage of the tool")
struct UsageTests {
    private static var commands: [any ParsableCommand.Type] {
        QuernTool.configuration.subcommands + QuernTool.configuration.groupedSubcommands.flatMap(\.subcommands)
    }

    @Test("Every sub-command has examples in its help, which name it as it is called")
    func examples() {
        for command in Self.commands {
            for leaf in command.configuration.subcommands.isEmpty ? [command] : command.configuration.subcommands {
                let help = leaf.helpMessage(columns: 300)
                #expect(help.contains("Example"), "\(leaf)")
                #expect(help.contains("quern \(command._commandName)"), "\(leaf)")
            }
        }
    }

    @Test("A command that fails says why on standard error and ends with the status for that")
    func failures() throws {
        var output = Output.captured()
        let info = try #require(try QuernTool.parseAsRoot(["info", "/nowhere/at/all"]) as? Info)
        #expect(info.perform(into: &output) == .unreadable)
        #expect(output.text.isEmpty)
        #expect(output.warnings.count == 1)
    }

    @Test("What a path says moves no cursor")
    func controlCharacters() throws {
        for line in [["info", "/nowhere\u{1B}[31m\nat all"], ["import", "/nowhere\u{1B}[31m", "--into", "/x"]] {
            var output = Output.captured()
            let command = try #require(try QuernTool.parseAsRoot(line) as? any ToolCommand)
            #expect(command.perform(into: &output) == .unreadable)
            #expect(output.warnings.count == 1)
            #expect(!output.warnings[0].unicodeScalars.contains { $0.value < 0x20 })
        }
    }

    @Test("A file without a name is a wrong call")
    func namelessOutput() {
        #expect(throws: (any Error).self) { try QuernTool.parseAsRoot(["export", "/x", "--output", ""]) }
    }
}
