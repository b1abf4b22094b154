// SPDX-License-Identifier: Apache-2.0

/// No-op children of one parent through a scheduler: spawned, dispatched, run, committed synced, and added up by the
/// parent's finalize. Each turn has a process of its own.
struct EndToEndWork: Work {
    var suffix: String
    var children: Int
    /// Whether the finalize by itself is a figure too.
    var hasFinalize: Bool
    /// Whether the slow schedulers take part: once, where they take a minute.
    var hasPeer: Bool

    static let engines: [EngineName] = [.quern, .sqliteBest, .sqliteTasks, .grdb]

    private var whole: String { "end-to-end-\(suffix)" }
    private var finalize: String { "finalize-\(suffix)" }
    var names: [String] { hasFinalize ? [whole, finalize] : [whole] }

    func run(_ bench: Bench) async throws {
        var table = SampleTable()
        let count = Double(children)
        for round in 0..<bench.fewRounds {
            for engine in bench.engines(inRound: round, among: Self.engines) {
                if engine != .quern, !bench.areEnginesChosen,
                    !hasPeer || engine.isSlow && children > 500_000 && round > 0
                {
                    continue
                }
                let numbers = try OwnProcess.numbers(["end-to-end", engine.rawValue, "\(children)"], count: 4)
                if bench.wants(whole) {
                    table.add(whole, engine.rawValue, .childrenPerSecond, count / numbers[0], synced: true)
                    table.add(whole, engine.rawValue, .peakResidentBytes, numbers[2])
                    if numbers[3] > 0 {
                        table.add(
                            whole, Measurement.limit, .childrenPerSecond, count / numbers[3], synced: true,
                            note: "quern's writes and syncs of its log alone")
                    }
                }
                if hasFinalize, bench.wants(finalize) {
                    table.add(finalize, engine.rawValue, .childrenPerSecond, count / numbers[1])
                }
            }
            if hasFinalize, bench.wants(finalize) {
                let bytes = [UInt8](repeating: 1, count: children * 24)
                let duration = try RawFile.sumMapped(bytes, repetitions: 7).min() ?? .zero
                table.add(
                    finalize, Measurement.limit, .childrenPerSecond, count / duration.inSeconds,
                    note: "raw memos in a mapped file")
            }
        }
        try bench.results.add(
            table.sorted(names),
            title: "\(children.text) no-op children from the parent's execute to its memo, synced\n")
    }
}
