// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

/// A process that has one descriptor left opens a file with it, and then has none for the directory.
@Suite("The last descriptor (S4)")
struct DescriptorTests {
    /// Files as the system has them, where a directory needs a descriptor to be synced.
    private final class LastDescriptor: FileSystem {
        private let files: SimulatedFileSystem
        private let isTaken = Mutex(false)
        private let refusals = Mutex(0)

        init(_ files: SimulatedFileSystem) { self.files = files }

        var refused: Int { refusals.withLock { $0 } }
        func set(taken: Bool) { isTaken.withLock { $0 = taken } }

        private func check(_ operation: String, _ path: FilePath) throws(FileError) {
            guard isTaken.withLock({ $0 }) else { return }
            refusals.withLock { $0 += 1 }
            throw FileError(operation: operation, path: path, errno: .tooManyOpenFiles)
        }

        func openDirectory(_ path: FilePath) throws(FileError) -> any DirectoryHandle {
            try check("open", path)
            return try files.openDirectory(path)
        }

        func synchronizeDirectory(_ path: FilePath) throws(FileError) {
            try check("fsync", path)
            try files.synchronizeDirectory(path)
        }

        func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
            try files.open(path, mode)
        }
        func list(_ directory: FilePath) throws(FileError) -> [String] { try files.list(directory) }
        func createDirectory(_ path: FilePath) throws(FileError) { try files.createDirectory(path) }
        func rename(_ source: FilePath, to target: FilePath) throws(FileError) {
            try files.rename(source, to: target)
        }
        func remove(_ path: FilePath) throws(FileError) { try files.remove(path) }
        func lock(_ path: FilePath) throws(FileError) -> any FileLock { try files.lock(path) }
    }

    @Test("S4: without one for the directory a new file is not put in place, and the store goes on once there is one")
    func directories() async throws {
        let files = SimulatedFileSystem()
        let short = LastDescriptor(files)
        var configuration = MemoStore.Configuration.exactLog
        configuration.logSegmentBytes = 1 << 10
        configuration.checkpointBytes = 2 << 10
        configuration.startThread = { $0() }
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: short)
        var live = 0
        for round in 0..<60 {
            short.set(taken: round % 3 == 1)
            do throws(StoreError) {
                try await store.append(.spawning(20))
                live += 20
            } catch {
                #expect(error.isTransient && error.cause?.errno == .tooManyOpenFiles, "round \(round): \(error)")
                #expect(round % 3 == 1, "round \(round): \(error)")
            }
            #expect(store.totals.live == live)
        }
        #expect(short.refused > 0)
        short.set(taken: false)
        try await store.close()
        let reopened = try await MemoStore.open(at: "/store", fileSystem: files.crash(keeping: .dropAll))
        #expect(reopened.totals.live == live)
        try await reopened.close()
    }

    @Test("The reason of a call within a call is told, and not another one")
    func reason() {
        let inner = FileError(operation: "fsync", path: "/", errno: .tooManyOpenFiles)
        #expect(throws: inner) { try FileError.naming("mkdir", "/store") { throw inner } }
    }

    @Test("S4: what a system call needs and cannot get for the moment is no reason to give up")
    func transient() {
        func isTransient(_ operation: String, _ errno: Errno) -> Bool {
            StoreError("try", FileError(operation: operation, path: "/store", errno: errno)).isTransient
        }
        #expect(isTransient("open", .tooManyOpenFiles) && isTransient("list", .tooManyOpenFilesInSystem))
        #expect(isTransient("mmap", .noMemory))
        // What was renamed by then may be there or not.
        #expect(!isTransient("fsync", .tooManyOpenFiles) && !isTransient("fdatasync", .noMemory))
        // A limit of the process on the size of files stays.
        #expect(!isTransient("write", .fileTooLarge))
    }
}

@Suite("Files that were removed (S9)")
struct RemovedFileTests {
    @Test("A log segment that nobody needs any more is closed too, and its space free")
    func spaceOfRemovedSegments() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 4 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<50 {
            let tasks = try await store.append(.spawning(60)).spawned[0].map { $0 }
            try await store.append(.ending(tasks, under: 0))
        }
        #expect(files.contents(Workload.directory.appending(StoreFiles.name(.log, 3))) != nil)
        // With a checkpoint, behind which no segment but the newest is needed.
        try await store.compact()
        #expect(files.contents(Workload.directory.appending(StoreFiles.name(.log, 1))) == nil)
        #expect(files.usedBytes == files.crash(keeping: .keepAll).usedBytes)
        try await store.close()
    }
}
