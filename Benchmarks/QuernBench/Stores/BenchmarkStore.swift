// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// A store in a directory that goes when the benchmark is done with it, with one live parent.
struct BenchmarkStore {
    let directory: TemporaryDirectory
    let fileSystem: TracingFileSystem
    let store: MemoStore
    let label: Label
    let parent: TaskID

    init(configuration: MemoStore.Configuration = .init(), synchronizes: Bool = true) async throws {
        directory = try TemporaryDirectory()
        fileSystem = TracingFileSystem(synchronizes: synchronizes)
        store = try await MemoStore.open(
            at: directory.path.appending("store"), configuration: configuration, fileSystem: fileSystem)
        label = try await store.label(for: "benchmark.child")
        parent = try await store.makeParent(label: label)
    }

    var path: FilePath { directory.path.appending("store") }

    /// Spawns children as preparation: nobody measures it.
    func spawn(_ count: Int, size: Int = 1000) async throws -> [UInt64] {
        try await store.append(
            all: Transactions.spawning(count, under: parent, label: label, size: size), inFlight: 4,
            durability: .buffered
        ).flatMap { Array($0) }
    }

    /// Ends children as preparation.
    func end(_ tasks: [UInt64], _ memos: Memos, size: Int = 1000) async throws {
        try await store.append(
            all: Transactions.ending(tasks, under: parent, label: label, memos: memos, size: size), inFlight: 4,
            durability: .buffered)
    }

    /// How large the files are now.
    func sizes() throws -> (log: Int, index: Int) {
        let inspection = try StoreInspection(of: path)
        return (
            inspection.logSegments.reduce(0) { $0 + $1.size }, inspection.indexSegments.reduce(0) { $0 + $1.size }
        )
    }
}
