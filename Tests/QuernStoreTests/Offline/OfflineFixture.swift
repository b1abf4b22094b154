// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Stores in a simulated file system, for what is built of them.
struct OfflineFixture {
    static let store: FilePath = "/store"

    let files: SimulatedFileSystem
    let facts: StoreFacts

    /// A random store, as it is when it was closed in order, or when its process was killed.
    static func random(
        seed: UInt64, closes: Bool, steps: Int = 120, stages: Bool = true
    ) async throws -> OfflineFixture {
        let files = SimulatedFileSystem()
        var random = RandomStore(seed: seed, stages: stages)
        let open = try await random.make(at: store, on: files, steps: steps)
        await open.rest()
        let facts = try StoreFacts(open)
        if closes { try await open.close() }
        let remains = files.crash(keeping: .keepAll)
        remains.synchronizeAll()
        try await open.close()
        return OfflineFixture(files: remains, facts: facts)
    }

    /// So small that any store has several segments of either kind.
    static var configuration: MemoStore.Configuration {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 32 << 10
        configuration.indexSegmentBytes = 24 << 10
        configuration.reserveBytes = 0
        configuration.blockSizes.full = 4 << 10
        configuration.blockSizes.rows = 100
        return configuration
    }

    static func build(
        _ directory: FilePath, of source: FilePath = store, on files: SimulatedFileSystem,
        for purpose: OfflineContents.Purpose = .whole
    ) throws -> OfflineContents {
        var contents = try OfflineContents(of: try OfflineStore.read(at: source, fileSystem: files), for: purpose)
        try StoreBuilder.build(at: directory, fileSystem: files, configuration: configuration) {
            try contents.tell(&$0)
        }
        return contents
    }

    static func facts(of directory: FilePath, on files: SimulatedFileSystem) async throws -> StoreFacts {
        let open = try await MemoStore.open(at: directory, configuration: configuration, fileSystem: files)
        let facts = try StoreFacts(open)
        try await open.close()
        return facts
    }

    /// The bytes of all files but the lock's.
    static func bytes(in directory: FilePath, on files: SimulatedFileSystem) throws -> [String: Digest] {
        var bytes: [String: Digest] = [:]
        for name in try files.list(directory) where name != StoreFiles.lockName {
            bytes[name] = files.contents(directory.appending(name)).map { Digest($0) }
        }
        return bytes
    }
}
