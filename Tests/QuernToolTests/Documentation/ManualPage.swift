// SPDX-License-Identifier: Apache-2.0

/// `docs/quern.1`: for man(1).
struct ManualPage {
    let tool: ToolDescription
    let version: String

    var text: String {
        var lines = [
            ".\\\" Made by `make manual` from what the commands say of themselves.",
            ".TH QUERN 1 \"\" \"quern \(version)\" \"quern\"", ".SH NAME",
            "quern \\- " + Self.escaped(tool.command.abstract ?? ""), ".SH SYNOPSIS", ".B quern", ".I subcommand",
            ".RI [ options ]", ".SH DESCRIPTION",
        ]
        lines += Self.paragraphs(tool.command)
        lines.append(".SH SUBCOMMANDS")
        for command in tool.leaves {
            lines += [".SS \(Self.escaped(command.synopsis))", Self.escaped(command.abstract ?? "")]
            lines += Self.paragraphs(command).isEmpty ? [] : [".PP"] + Self.paragraphs(command)
            for option in command.options {
                lines += [".TP", ".B \(Self.escaped(option.term))", Self.escaped(option.explanation)]
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func paragraphs(_ command: ToolDescription.Command) -> [String] {
        var lines: [String] = []
        for (text, examples) in command.paragraphs {
            if !lines.isEmpty { lines.append(".PP") }
            if !text.isEmpty { lines.append(escaped(text)) }
            if !examples.isEmpty { lines += [".RS", ".nf"] + examples.map(escaped) + [".fi", ".RE"] }
        }
        return lines
    }

    private static func escaped(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }
}
