// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SystemPackage

/// `quern-bench` without a further word: quern beside its peers and the limits of the machine.
struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure quern, its peers and the limits of this machine, in turns, in one run.",
        discussion: """
            Every engine gets the same children and the same syncs, and must find the same in each scan, or the run \
            fails. Figures are medians over the rounds, with the smallest and the largest.

            Lines of JSON: work, engine (limit: what the machine does without one), metric, value, unit.
            """)

    @Flag(help: "Leave out what takes long: under three minutes.") var quick = false
    @Option(help: "A work, or the beginning of several, such as scan-238k or callers; again for more.")
    var only: [String] = []
    @Option(help: "An engine that takes part; again for more. All when left out.") var engine: [EngineName] = []
    @Option(help: "Rounds, in which all engines take turns.") var rounds = 5
    @Option(help: "A file for lines of JSON; it is replaced.") var json: String?
    @Flag(help: "Say which works there are, and do none.") var list = false

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds is at least 1") }
        for word in only where Works.names(meantBy: word).isEmpty {
            throw ValidationError("no work is called \(word); --list names them")
        }
    }

    func run() async throws {
        // Who names works gets them, quick or not.
        let works = Works.all(isQuick: quick && only.isEmpty)
        if list {
            for name in works.flatMap(\.names) { print(name) }
            return
        }
        print(Machine.description + "\n")
        let bench = Bench(
            engines: engine.isEmpty ? EngineName.allCases : engine, areEnginesChosen: !engine.isEmpty, rounds: rounds,
            isQuick: quick, only: only.flatMap(Works.names(meantBy:)),
            results: try Results(json: json.map { FilePath($0) }))
        for work in works where work.names.contains(where: bench.wants) { try await work.run(bench) }
    }
}

extension EngineName: ExpressibleByArgument {}
