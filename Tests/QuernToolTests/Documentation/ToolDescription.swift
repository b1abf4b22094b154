// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

@testable import QuernTool

/// What the commands say of themselves, as the argument parser dumps it: the one source of the manual and of the page.
struct ToolDescription: Decodable {
    struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable {
                var kind: String
                var name: String

                var text: String { (kind == "long" ? "--" : "-") + name }
            }

            var kind: String
            var names: [Name]?
            var valueName: String?
            var abstract: String?
            var discussion: String?
            var defaultValue: String?
            var allValues: [String]?
            var isOptional: Bool
            var isRepeating: Bool
            var shouldDisplay: Bool
        }

        var commandName: String
        var abstract: String?
        var discussion: String?
        var arguments: [Argument]?
        var subcommands: [Command]?
        var superCommands: [String]?
        var shouldDisplay: Bool
    }

    var command: Command

    static func current() throws -> ToolDescription {
        try JSONDecoder().decode(ToolDescription.self, from: Data(QuernTool._dumpHelp().utf8))
    }

    /// Those that do something, in the order of the help.
    var leaves: [Command] { Self.leaves(below: command) }

    private static func leaves(below command: Command) -> [Command] {
        (command.subcommands ?? []).filter { $0.shouldDisplay && $0.commandName != "help" }.flatMap { command in
            let inner = leaves(below: command)
            return inner.isEmpty ? [command] : inner
        }
    }
}

extension ToolDescription.Command {
    /// `quern index rebuild`
    var fullName: String { ((superCommands ?? []) + [commandName]).joined(separator: " ") }

    /// What people give it.
    var options: [Argument] {
        (arguments ?? []).filter { argument in
            argument.shouldDisplay && !(argument.names ?? []).contains { ["help", "version"].contains($0.name) }
        }
    }

    var synopsis: String { ([fullName] + options.map(\.synopsis)).joined(separator: " ") }

    /// The discussion's paragraphs; examples are lines that begin with spaces.
    var paragraphs: [(text: String, examples: [String])] {
        (discussion ?? "").split(separator: "\n\n").map { paragraph in
            let lines = paragraph.split(separator: "\n").map(String.init)
            let text = lines.filter { !$0.hasPrefix("  ") }.joined(separator: " ")
            return (text, lines.filter { $0.hasPrefix("  ") }.map { String($0.dropFirst(2)) })
        }
    }
}

extension ToolDescription.Command.Argument {
    /// `--limit <limit>`
    var term: String {
        let value = "<\(valueName ?? "value")>"
        switch kind {
        case "positional": return value
        case "flag": return (names ?? []).map(\.text).joined(separator: ", ")
        default: return (names ?? []).map(\.text).joined(separator: ", ") + " " + value
        }
    }

    var synopsis: String { (isOptional ? "[\(term)]" : term) + (isRepeating ? " ..." : "") }

    var explanation: String {
        var parts = [abstract, discussion].compactMap { $0 }
        if let allValues, !allValues.isEmpty { parts.append("One of: " + allValues.joined(separator: ", ") + ".") }
        if let defaultValue, kind != "flag" { parts.append("Default: \(defaultValue).") }
        return parts.joined(separator: " ").replacing("\n", with: " ")
    }
}
