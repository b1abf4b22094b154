// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `quern`: looks into stores without the service that writes them.
@main
struct QuernTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quern",
        abstract: "Looks into quern stores.",
        discussion: "Reads only: a store in use is not disturbed, and a damaged one is not changed.",
        subcommands: [Info.self])
}
