// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SystemPackage

/// `storepair`: one process that writes to a store, is killed and begins anew, and one that reads the store meanwhile
/// and checks that what it sees is whole (S1, S11). `make readers` runs it for a minute, the tests for a moment.
@main
struct StorePair: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storepair", abstract: "Writes to a store and reads it at once, in two processes.",
        subcommands: [Run.self, Write.self, Read.self])
}

/// When the writer has written enough.
struct Extent: ParsableArguments {
    @Option(help: "End after this many transactions.")
    var transactions: UInt64 = .max

    @Option(help: "End at this time, in seconds since 1970.")
    var until: UInt64 = .max

    @Option(help: "What the writer does is drawn from this.")
    var seed: UInt64 = 1
}

struct Write: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write, and now and then be killed.")
    @Argument var directory: String
    @OptionGroup var extent: Extent

    func run() throws {
        var writer = try PairWriter(directory: FilePath(directory), extent: extent)
        try writer.run()
    }
}

struct Read: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Check what is written until the writer has ended.")
    @Argument var directory: String

    func run() throws {
        var reader = PairReader(directory: FilePath(directory))
        try reader.run()
    }
}

/// What the processes found wrong.
struct Wrong: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
