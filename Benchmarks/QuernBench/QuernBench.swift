// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The benchmarks of the store, each beside the limit of the machine that it runs on.
@main
struct QuernBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quern-bench",
        abstract: "Measures the store beside the limits of the machine.",
        discussion: """
            A table has a line a figure: smallest, middle and largest of the repetitions, what this machine \
            can do at most, measured in the same run, and how many times worse than that the middle one is.

            Stores are made under TMPDIR, or /tmp, and removed: choose a place on the disk that counts.
            """,
        subcommands: [
            Compare.self, Guard.self, Plot.self, All.self, Scan.self, Insert.self, Complete.self, Bytes.self,
            Callers.self, Open.self,
            Segments.self,
            Compact.self, Endurance.self, EnduranceReader.self, Memory.self, Opening.self, Tasks.self, Pending.self,
            Fold.self,
            EndToEnd.self, Loading.self, Reopening.self, Dying.self, Restarting.self,
        ],
        defaultSubcommand: Compare.self)
}
