// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// The stores that `Tests/Golden/` keeps for each version of the format, so that later versions go on reading them
/// (F34).
enum GoldenStores {
    /// `Tests/Golden` of this checkout.
    static var directory: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden")
    }

    /// The stores of all versions, with what they hold beside them as `NAME.dump`.
    static func all() throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .filter { $0.lastPathComponent.hasPrefix("v") && !$0.lastPathComponent.hasSuffix("-damaged") }
            .flatMap { try FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil) }
            .filter { $0.pathExtension.isEmpty && $0.hasDirectoryPath }
            .sorted { $0.path < $1.path }
    }

    /// Copies what a simulated file system holds into a directory.
    static func export(_ files: SimulatedFileSystem, to directory: URL) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in try files.list(Workload.directory) where name != StoreFiles.lockName {
            let bytes = files.contents(Workload.directory.appending(name)) ?? []
            try Data(bytes).write(to: directory.appending(path: name))
        }
    }
}

/// Writes the golden stores of this version anew: `QUERN_WRITE_GOLDEN=v1 make test TEST_ARGS='--filter GoldenWriter'`.
///
/// For a version that was released they are never written again.
@Suite("Golden stores are written on demand alone (F34)")
struct GoldenWriter {
    static let version = ProcessInfo.processInfo.environment["QUERN_WRITE_GOLDEN"]

    @Test("Writes the golden stores", .enabled(if: version != nil))
    func write() async throws {
        let place = GoldenStores.directory.appending(path: try #require(Self.version))
        try? FileManager.default.removeItem(at: place)
        for closes in [true, false] {
            let files = SimulatedFileSystem()
            var workload = Workload(.everything)
            let result = try await workload.run(on: files)
            let store = try #require(result.store)
            #expect(result.error == nil)
            let name = closes ? "closed" : "killed"
            let dump = try StoreDump(store).text
            if closes { try await store.close() }
            try GoldenStores.export(files, to: place.appending(path: name))
            try Data(dump.utf8).write(to: place.appending(path: "\(name).dump"))
            try? await store.close()
        }
        try await writeRandom(to: place)
        try await writeSmall(to: place)
    }
    /// The store that FORMAT.md shows byte by byte.
    private func writeSmall(to place: URL) async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.open(
            at: Workload.directory, configuration: .exactLog, fileSystem: files)
        let label = try await store.label(for: "resize")
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        var spawn = Transaction()
        spawn.spawn(under: .none, label: label, at: now) { $0.append(contentsOf: "cats".utf8) }
        try await store.append(spawn)
        spawn = Transaction()
        for name in ["a.png", "b.png"] {
            spawn.spawn(under: TaskID(1), label: label, at: now) { $0.append(contentsOf: name.utf8) }
        }
        try await store.append(spawn)
        var end = Transaction()
        end.end(
            .init(task: TaskID(2), parent: TaskID(1), label: label, kind: .completed, startedAt: now, endedAt: now)
        ) { $0.append(littleEndian: UInt64(0x0102)) }
        end.end(.init(task: TaskID(3), parent: TaskID(1), label: label, kind: .failed, startedAt: now, endedAt: now)) {
            $0.append(contentsOf: "no such file".utf8)
        }
        try await store.append(end)
        let dump = try StoreDump(store).text
        try GoldenStores.export(files, to: place.appending(path: "small"))
        try Data(dump.utf8).write(to: place.appending(path: "small.dump"))
        try await store.close()
    }

    /// A store with a bit of everything, as a process leaves it that is killed.
    private func writeRandom(to place: URL) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        var random = RandomStore(seed: 1)
        let store = try await random.make(at: path, steps: 16)
        let dump = try StoreDump(store).text
        let target = place.appending(path: "random")
        try FileManager.default.copyItem(at: URL(filePath: path.string), to: target)
        try FileManager.default.removeItem(at: target.appending(path: StoreFiles.lockName))
        try Data(dump.utf8).write(to: place.appending(path: "random.dump"))
        try await store.close()
    }
}
