// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

/// From the moment when a process opens the store, after a kill, to the first call of a handler: with half of the
/// children still to run, and with all of them ended and `finalize` under way. Files are in the page cache.
struct RestartWork: Work {
    var suffix: String
    var children: Int

    private var half: String { "restart-half-\(suffix)" }
    private var finalize: String { "restart-finalize-\(suffix)" }
    var names: [String] { [half, finalize] }

    func run(_ bench: Bench) async throws {
        guard bench.engines.contains(.quern) else { return }
        var table = SampleTable()
        for _ in 0..<bench.fewRounds {
            for name in names where bench.wants(name) {
                let directory = try TemporaryDirectory()
                let path = directory.path.appending("store").string
                let flags = name == finalize ? ["--finalizing"] : []
                _ = try OwnProcess.output(["dying", path, "\(children)"] + flags, isKilled: true)
                let numbers = try OwnProcess.numbers(["restarting", path], count: 2, isKilled: true)
                table.add(name, EngineName.quern.rawValue, .milliseconds, numbers[0])
                table.add(name, EngineName.quern.rawValue, .peakResidentBytes, numbers[1])
            }
        }
        try bench.results.add(
            table.sorted(names),
            title: "\(children.text) no-op children, killed: from the next opening to the first call\n")
    }
}
