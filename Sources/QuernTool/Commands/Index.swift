// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern index`: what concerns the index of ended children.
struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the index of ended children anew.", subcommands: [Rebuild.self])

    /// `quern index rebuild`: from the log, as far as that has them.
    struct Rebuild: ToolCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new store whose index is made from the log, where the log still has the children.",
            discussion: """
                What the log no longer has is copied from the index. The store stays as it is. Exit status as that of \
                quern repair.

                Example:
                  quern index rebuild /var/lib/service/tasks --into /var/lib/service/tasks.rebuilt
                """)

        @OptionGroup var store: StoreArgument
        @Option(help: "The directory for the new store, which must be empty or missing.", completion: .directory)
        var into: String
        @OptionGroup var format: FormatOptions
        @OptionGroup var progress: ProgressOptions

        var cleansUp: Bool { true }

        func run(into output: inout Output) throws {
            try Salvage(
                store: store.path, into: FilePath(into), purpose: .rebuiltIndex, format: format, progress: progress
            ).run("index rebuild", into: &output)
        }
    }
}
