// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Synchronization
import SystemPackage

/// One child a call, each call synced, many callers at once.
///
/// Those of quern are asynchronous, as its callers are; the others have a thread each, at most ``mostThreads``: more of
/// them wait for each other alone. In front of engines that sync each call by itself stands a ``GroupCommit``.
struct CallersWork: Work {
    var callers: Int

    static let mostThreads = 256
    static let engines: [EngineName] = [.quern, .lmdb, .rocksdb, .leveldb, .sqliteBest]

    var name: String { "callers-\(callers)" }
    var names: [String] { [name] }

    func run(_ bench: Bench) async throws {
        let count = calls(.quern)
        let children = ChildSet(.counters, count: count, perParent: count)
        var table = SampleTable()
        for round in 0..<bench.fewRounds {
            for engine in bench.engines(inRound: round, among: Self.engines) {
                try await run(engine, children, into: &table)
            }
            let calls = 2500
            let bytes = [UInt8](repeating: 7, count: calls * (24 + KeyValueForm.endedFacts))
            let duration = try RawFile.append(bytes, batches: calls, synced: true)
            table.add(
                name, Measurement.limit, .childrenPerSecond, Double(calls) / duration.inSeconds, synced: true,
                note: "a small write and fdatasync a call; callers that share a sync are above it")
        }
        try bench.results.add(table.sorted(names), title: "\(callers.text) callers, one child a call, synced\n")
    }

    /// As many as take about half a second: rates do not depend on how many there are, but on how syncs are shared.
    private func calls(_ engine: EngineName) -> Int {
        max(2500, engine == .quern ? min(callers * 1500, 500_000) : min(callers, Self.mostThreads) * 150)
    }

    private func run(_ engine: EngineName, _ children: ChildSet, into table: inout SampleTable) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try makeDirectory(path)
        let calls = calls(engine)
        func prepare(_ store: any Engine) throws -> (parents: UInt64, first: UInt64) {
            let parents = try store.makeParents(1)
            let batches = stride(from: 0, to: calls, by: 1000).map { $0..<min($0 + 1000, calls) }
            let ids = try batches.map { try store.insert(children, $0, under: parents) }
            return (parents, ids[0])
        }
        func add(_ metric: Metric, _ value: Double) { table.add(name, engine.rawValue, metric, value, synced: true) }
        if engine == .quern {
            let fileSystem = TracingFileSystem()
            let store = try QuernEngine(path, synced: true, fileSystem: fileSystem)
            let (parents, first) = try prepare(store)
            fileSystem.takeTrace()
            let duration = try await timedAsynchronously {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<callers {
                        group.addTask {
                            for row in stride(from: caller, to: calls, by: callers) {
                                try await store.completeAsynchronously(
                                    children, row..<row + 1, first: first, under: parents)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let syncs = fileSystem.takeTrace().synchronizations
            try store.close()
            add(.childrenPerSecond, Double(calls) / duration.inSeconds)
            add(.childrenPerSync, Double(calls) / Double(max(1, syncs)))
        } else {
            let store = try engine.open(path, synced: true)
            let (parents, first) = try prepare(store)
            let threads = min(callers, Self.mostThreads)
            let group = (store as? any GatheringEngine).map { store in
                GroupCommit { try store.complete(children, $0, first: first, under: parents) }
            }
            let failure = Mutex<(any Error)?>(nil)
            let duration = timed {
                BlockingThreads.run(threads) { caller in
                    do {
                        for row in stride(from: caller, to: calls, by: threads) {
                            if let group {
                                try group.complete(row)
                            } else {
                                try store.complete(children, row..<row + 1, first: first, under: parents)
                            }
                        }
                    } catch { failure.withLock { $0 = error } }
                }
            }
            if let error = failure.withLock({ $0 }) { throw error }
            let batch = group.map { Double(calls) / Double(max(1, $0.commitCount)) } ?? store.writesPerSync
            try store.close()
            add(.childrenPerSecond, Double(calls) / duration.inSeconds)
            if let batch { add(.childrenPerSync, batch) }
        }
    }
}
