// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `quern`: looks into stores without the service that writes them.
@main
struct QuernTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quern",
        abstract: "Looks into quern stores, checks, copies and repairs them.",
        discussion: """
            What only reads disturbs no store in use and changes no damaged one: it reads the files themselves, prints \
            all that can be read, and tells on standard error what cannot.

            Exit status: 0 when all is well, 1 when something is damaged, missing or not found, 2 for a wrong call, \
            3 when the store cannot be read at all.

            Shell completions: quern --generate-completion-script bash (or zsh, or fish).
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Look into a store",
                subcommands: [
                    Bench.self,
                    Children.self,
                    Dump.self,
                    Errors.self,
                    Info.self,
                    Show.self,
                    Tasks.self,
                    Tree.self,
                    Verify.self,
                ]),
            CommandGroup(
                name: "Make a store of another",
                subcommands: [
                    Compact.self,
                    Copy.self,
                    Export.self,
                    Import.self,
                    Index.self,
                    Prune.self,
                    Repair.self,
                ]),
        ])

    static func main() {
        ProcessSetup.perform()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            let lines = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false)
            Output.error(lines.map { Printable.text($0) }.joined(separator: "\n"))
            exit(withError: ExitCode(ExitStatus.usage.rawValue))
        }
    }
}
