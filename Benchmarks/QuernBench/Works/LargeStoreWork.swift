// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

/// A store of many children under one parent: how long it takes to fill, to open as a kill leaves it and after a clean
/// close, and to read.
///
/// One turn gives all of these: a process fills the store and kills itself, a second one opens it, closes it in good
/// order, and third and fourth ones open it again and read. Files are in the page cache, as far as they fit.
///
/// Resident bytes hold pages of mapped files, which engines that map them do not need to keep.
struct LargeStoreWork: Work {
    var suffix: String
    var children: Int

    /// The others would take a quarter of an hour.
    static let engines: [EngineName] = [.quern, .lmdb, .sqliteBest]

    private enum Part: String, CaseIterable {
        case load
        case openKilled = "open-killed"
        case open
        case scan
    }

    private func name(_ part: Part) -> String { "\(part.rawValue)-\(suffix)" }
    var names: [String] { Part.allCases.map(name) }

    func run(_ bench: Bench) async throws {
        var table = SampleTable()
        let candidates = bench.areEnginesChosen ? EngineName.stores : Self.engines
        for round in 0..<bench.rounds {
            for engine in bench.engines(inRound: round, among: candidates) { try turn(engine, bench, into: &table) }
            guard bench.wants(name(.scan)) else { continue }
            let raw = [UInt8](repeating: 1, count: children * 24)
            let duration = try RawFile.sumMapped(raw, repetitions: 3).min() ?? .zero
            table.add(
                name(.scan), Measurement.limit, .nanosecondsPerChild, duration.inNanoseconds / Double(children),
                note: "raw memos in a mapped file")
        }
        try bench.results.add(
            table.sorted(names),
            title: "\(children.text) children of one parent, 24-byte memos, 1 % failures; 1,000 a transaction, synced\n"
        )
    }

    private func turn(_ engine: EngineName, _ bench: Bench, into table: inout SampleTable) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try makeDirectory(path)
        func add(_ part: Part, _ metric: Metric, _ value: Double) {
            if bench.wants(name(part)) { table.add(name(part), engine.rawValue, metric, value, synced: true) }
        }
        let loaded = try OwnProcess.numbers(
            ["loading", engine.rawValue, path.string, "\(children)"], count: 6, isKilled: true)
        add(.load, .childrenPerSecond, Double(children) / loaded[0])
        add(.load, .peakResidentBytes, loaded[1])
        guard bench.wants(name(.open)) || bench.wants(name(.openKilled)) || bench.wants(name(.scan)) else { return }
        let reopening = ["reopening", engine.rawValue, path.string, "\(Int(loaded[2]))"]
        add(.openKilled, .milliseconds, try OwnProcess.numbers(reopening, count: 5)[0])
        add(.open, .milliseconds, try OwnProcess.numbers(reopening, count: 5)[0])
        let scanned = try OwnProcess.numbers(reopening + ["--scans", "3"], count: 5)
        try verify(Array(scanned[2...]), Array(loaded[3...]), engine.rawValue, "scan after a kill")
        add(.scan, .nanosecondsPerChild, scanned[1])
    }
}
