// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SystemPackage

/// `quern-bench guard`: what a change has made slower or larger.
struct Guard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare quern's distance to the limits of this machine with an earlier one.",
        discussion: """
            Times are not compared, as they say more about the machine and its neighbours than about a change: each \
            figure is divided by the machine's limit from the same round, and the middle one of the rounds counts. \
            Bytes, and how many callers share a sync, are compared as they are.

            Ends with status 1 when something got worse by more than --tolerance percent. Noise does that too: run it \
            again before you believe it, and on a quiet machine.
            """)

    @Option(help: "What was measured earlier, written by --write.") var baseline = "Benchmarks/baseline.json"
    @Flag(help: "Write what is measured now as the baseline.") var write = false
    @Option(help: "By how many percent a figure may be worse.") var tolerance = 25.0
    @Option(help: "Rounds; the middle one counts.") var rounds = 5

    static let works = [
        "scan-238k", "insert-238k", "complete-238k", "bytes-238k", "bytes-compacted-238k", "written-238k", "callers-1",
        "callers-256", "scan-while-writing-238k", "end-to-end-238k", "finalize-1m",
    ]

    func validate() throws {
        guard rounds > 0, tolerance > 0 else { throw ValidationError("--rounds and --tolerance are above zero") }
    }

    func run() async throws {
        let results = try Results(json: nil, isSilent: true)
        let bench = Bench(
            engines: [.quern], areEnginesChosen: true, rounds: rounds, isQuick: false, only: Self.works,
            results: results)
        for work in Works.all(isQuick: false) where work.names.contains(where: bench.wants) {
            try await work.run(bench)
        }
        let found = Self.standings(results.measurements)
        guard !write else {
            try Self.save(found, to: FilePath(baseline))
            print("wrote \(found.count) figures to \(baseline)")
            return
        }
        let known = try ResultLine.read(FilePath(baseline)).compactMap(Standing.init)
        var worse: [String] = []
        for standing in found {
            guard let before = known.first(where: { $0.isSameFigure(as: standing) }), before.value > 0 else {
                print("\(standing.name): \(standing.text), not in the baseline")
                continue
            }
            let change = (standing.worsening(since: before) - 1) * 100
            let line = "\(standing.name): \(standing.text), was \(before.text): \(change.text) %"
            print(line)
            if change > tolerance { worse.append(line) }
        }
        for before in known where !found.contains(where: before.isSameFigure) {
            print("\(before.name): in the baseline, and not measured")
        }
        guard !worse.isEmpty else { return print("\nnothing is worse by more than \(tolerance.text) %") }
        print("\nworse by more than \(tolerance.text) %:")
        for line in worse { print("  " + line) }
        throw ExitCode(1)
    }

    /// Where a figure of quern stands: so many times worse than the limit, or so many bytes.
    struct Standing {
        var work: String
        var metric: Metric
        var value: Double
        var isDistance: Bool

        var name: String { "\(work) \(metric.rawValue)" }
        var text: String { value.text + (isDistance ? " x the limit" : " \(metric.unit)") }

        /// 2 for twice as bad.
        func worsening(since before: Standing) -> Double {
            !isDistance && metric.moreIsBetter ? before.value / value : value / before.value
        }

        func isSameFigure(as other: Standing) -> Bool {
            work == other.work && metric == other.metric && isDistance == other.isDistance
        }
    }

    static func standings(_ measurements: [Measurement]) -> [Standing] {
        measurements.filter { $0.engine == EngineName.quern.rawValue }.compactMap { figure in
            let limit = measurements.first {
                $0.engine == Measurement.limit && $0.work == figure.work && $0.metric == figure.metric
            }
            switch figure.metric {
            case .bytesPerChild, .peakResidentBytes, .writeAmplification, .childrenPerSync:
                return Standing(work: figure.work, metric: figure.metric, value: figure.median, isDistance: false)
            case .nanosecondsPerChild, .childrenPerSecond, .milliseconds, .bytesPerSecond:
                // Many callers share a sync: how many is a figure of its own, and how long one takes is the disk's.
                if figure.work == "callers-256" { return nil }
                guard let limit, limit.samples.count == figure.samples.count else { return nil }
                let distances = zip(figure.samples, limit.samples).map { sample, limit in
                    figure.metric.moreIsBetter ? limit / sample : sample / limit
                }
                return Standing(work: figure.work, metric: figure.metric, value: distances.median, isDistance: true)
            }
        }
    }

    private static func save(_ standings: [Standing], to path: FilePath) throws {
        let lines = standings.map { standing in
            "{\"work\":\"\(standing.work)\",\"metric\":\"\(standing.metric.rawValue)\","
                + "\"kind\":\"\(standing.isDistance ? "distance" : "value")\",\"value\":\(standing.value)}\n"
        }
        try replaceFile(path, with: lines.joined())
    }
}

extension Guard.Standing {
    init?(_ line: ResultLine) {
        guard let metric = line.metric else { return nil }
        self.init(work: line.work, metric: metric, value: line.value, isDistance: line.texts["kind"] == "distance")
    }
}
