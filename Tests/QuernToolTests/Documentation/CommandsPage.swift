// SPDX-License-Identifier: Apache-2.0

/// `docs/quern.md`: the same for reading on a screen, with a transcript of each command.
struct CommandsPage {
    let tool: ToolDescription
    /// By the command's name, hyphens for spaces.
    let transcripts: [String: String]

    var text: String {
        var lines = ["<!-- Made by `make manual` from what the commands say of themselves. -->", "# quern", ""]
        lines += [tool.command.abstract ?? "", ""]
        lines += Self.paragraphs(tool.command)
        lines += [
            "The transcripts are of the store that `dirscan /usr --store usr` leaves; `make transcripts` runs their",
            "commands again. Long lines are cut.", "", "| command | |", "|---|---|",
        ]
        for command in tool.leaves {
            let anchor = command.fullName.replacing(" ", with: "-")
            lines.append("| [`\(command.fullName)`](#\(anchor)) | \(Self.escaped(command.abstract ?? "")) |")
        }
        for command in tool.leaves {
            lines += ["", "## \(command.fullName)", "", command.abstract ?? "", "", "```", command.synopsis, "```", ""]
            lines += Self.paragraphs(command)
            if !command.options.isEmpty {
                lines += ["| option | |", "|---|---|"]
                lines += command.options.map { "| `\($0.term)` | \(Self.escaped($0.explanation)) |" }
            }
            if let transcript = transcripts[Self.file(of: command)] {
                lines += ["", "```", String(transcript.trimmingSuffix(while: \.isNewline)), "```"]
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func file(of command: ToolDescription.Command) -> String {
        command.fullName.split(separator: " ").dropFirst().joined(separator: "-")
    }

    private static func paragraphs(_ command: ToolDescription.Command) -> [String] {
        command.paragraphs.flatMap { text, examples in
            (text.isEmpty ? [] : [text, ""]) + (examples.isEmpty ? [] : ["```"] + examples + ["```", ""])
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("|", with: "\\|").replacing("<", with: "&lt;").replacing("*", with: "\\*")
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var rest = self[...]
        while let last = rest.last, predicate(last) { rest.removeLast() }
        return rest
    }
}
