// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `crashloop`: a service under full load that is killed at any moment, runs out of space, descriptors or memory, or
/// loses its file system, again and again; and beside it a ledger of all that it was told (S1, S4, T6).
/// `make crash-loop` runs it for a minute or two, the tests for a moment.
@main
struct CrashLoop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crashloop",
        abstract: "Kills a service under load again and again, and compares its store with what it was told.",
        discussion: """
            Ends with status 1 when something was lost or there twice; the store is then kept, and its seed and round \
            are printed. Scenarios that need a file system of their own are left out, with a word, where none may be \
            mounted.
            """,
        subcommands: [
            All.self, Kill.self, Full.self, ReadOnly.self, FileSize.self, Memory.self, Descriptors.self, Serve.self,
        ],
        defaultSubcommand: All.self)
}

/// What every scenario is told.
struct LoopOptions: ParsableArguments {
    @Option(help: "How often the service is started and ended.")
    var rounds = 100

    @Option(help: "What happens is drawn from this; QUERN_SEED by default, else by chance.")
    var seed: UInt64?

    @Option(help: "Where the stores are made; the system's place for what is temporary by default.")
    var directory: String?

    @Option(help: "Claim at the end something that nobody was told, to see that it is missed.")
    var invent: Invention?

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds takes 1 or more") }
    }
}

/// What a ledger is made to claim wrongly: a comparison that cannot be shown to find anything is none.
enum Invention: String, ExpressibleByArgument, CaseIterable {
    /// A submit that never was.
    case submit
    /// An outcome that a task does not have.
    case outcome
    /// A tree that was dropped, and was not.
    case drop
    /// A value that was never stored.
    case value
}

/// One way in which a service is ended.
protocol Scenario: ParsableCommand {
    var options: LoopOptions { get }
    /// Runs all rounds, each of which is compared.
    func run(_ loop: inout Loop) throws
}

extension Scenario {
    func run() throws {
        guard Loop.run(self, name: Self.configuration.commandName ?? "", options) else { throw ExitCode(1) }
    }
}

struct All: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Run all scenarios: half of the rounds kill alone.")
    @OptionGroup var options: LoopOptions

    func run() throws {
        let others: [any Scenario.Type] = [Full.self, ReadOnly.self, FileSize.self, Memory.self, Descriptors.self]
        var isWhole = Loop.run(try Kill.parse([]), name: "kill", share(2))
        for type in others {
            isWhole = Loop.run(try type.parse([]), name: type.configuration.commandName ?? "", share(10)) && isWhole
        }
        if !isWhole { throw ExitCode(1) }
    }

    private func share(_ part: Int) -> LoopOptions {
        var share = options
        share.rounds = max(1, options.rounds / part)
        return share
    }
}
