// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `quern-bench all`: every benchmark, in sizes that take about two minutes together.
struct All: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run all benchmarks, each in a process of its own, for about two minutes.")

    @Flag(help: "Print a line of JSON a figure instead of the tables.") var json = false

    func run() throws {
        if !json { print(Machine.description + "\n") }
        let benchmarks = [
            ["scan", "--repeat", "20"], ["insert"], ["complete"], ["bytes"], ["callers", "--repeat", "3"],
            ["open", "--repeat", "3"], ["segments", "--repeat", "3"],
            ["compact", "--repeat", "3"],
            ["memory"], ["tasks", "--repeat", "3"],
        ]
        for benchmark in benchmarks { try OwnProcess.run(benchmark + (json ? ["--json"] : [])) }
    }
}
