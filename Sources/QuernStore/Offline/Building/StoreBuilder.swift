// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Writes a store anew, whole and closed, into an empty directory: what is live in the log, all ended children in index
/// segments, a checkpoint that knows of both, and last the manifest, by which all of it begins to count.
///
/// The same contents make the same files, byte for byte. Everything is checked as it comes: what would make no store is
/// ``StoreError/Code/rejected``. Memory: what is live, and a block.
package struct StoreBuilder: StoreSink {
    private let directory: FilePath
    private let fileSystem: any FileSystem
    private let configuration: MemoStore.Configuration
    private let lock: any FileLock
    /// From the head on, which says whose files they are.
    private var building: StoreBuilding?
    private var report: Report?

    /// What was built.
    package struct Report: Sendable, Equatable {
        package var children: UInt64 = 0
        package var liveTasks = 0
    }

    /// Builds a store of what `fill` tells. Blocking. Durable at return.
    ///
    /// - Parameter directory: created when it is missing, with those above it.
    /// - Throws: ``StoreError/Code/rejected`` when it is not empty, or for contents that make no store; as writing a
    ///   file does; what `fill` throws. After an error nothing is left of the store but what could not be removed.
    @discardableResult
    package static func build(
        at directory: FilePath, fileSystem: any FileSystem = PosixFileSystem(),
        configuration: MemoStore.Configuration = MemoStore.Configuration(),
        _ fill: (inout StoreBuilder) throws -> Void
    ) throws -> Report {
        try requireEmpty(directory, fileSystem)
        let lock = try MemoStore.acquireLock(directory, fileSystem, makes: true)
        defer { lock.release() }
        try requireEmpty(directory, fileSystem)
        var builder = StoreBuilder(
            directory: directory, fileSystem: fileSystem, configuration: configuration, lock: lock)
        do {
            try fill(&builder)
            guard let report = builder.report else { throw StoreError(.rejected, "the contents have no end") }
            try? lock.write(LockHolder.current)
            return report
        } catch {
            UnfinishedStore.remove(from: directory, fileSystem, holding: lock)
            throw error
        }
    }

    static func requireEmpty(_ directory: FilePath, _ fileSystem: any FileSystem) throws(StoreError) {
        let names: [String]
        do throws(FileError) { names = try fileSystem.list(directory) } catch {
            if error.errno == .noSuchFileOrDirectory { return }
            throw StoreError("cannot look into the directory", opening: directory, error)
        }
        try UnfinishedStore.refuse(in: directory, fileSystem)
        guard names.allSatisfy({ $0 == StoreFiles.lockName }) else {
            throw StoreError(.rejected, "a store is built in an empty directory, and this one is not", file: directory)
        }
    }

    private init(
        directory: FilePath, fileSystem: any FileSystem, configuration: MemoStore.Configuration, lock: any FileLock
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.configuration = configuration
        self.lock = lock
    }

    // MARK: Contents

    package mutating func begin(_ head: StoreHead) throws {
        guard building == nil, report == nil else { throw StoreError(.rejected, "a second head") }
        let files = StoreFiles(
            directory: directory, fileSystem: fileSystem, identity: head.identity, epoch: 1, lock: lock)
        building = try StoreBuilding(head, files: files, configuration: configuration)
    }

    private func requireHead() throws(StoreError) {
        if building == nil { throw StoreError(.rejected, "contents without a head") }
    }

    package mutating func add(_ run: LiveRunContents) throws {
        try requireHead()
        try building!.add(run)
    }

    package mutating func add(_ kept: KeptContents) throws {
        try requireHead()
        try building!.add(kept)
    }

    package mutating func add(_ parent: ParentContents) throws {
        try requireHead()
        try building!.add(parent)
    }

    package mutating func add(_ rows: OutcomeBlock) throws {
        try requireHead()
        try building!.add(rows)
    }

    package mutating func finish() throws {
        try requireHead()
        report = try building!.finish()
        building = nil
    }
}
