// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Log segments that are kept open for payloads (S14).
@Suite struct LogBodiesTests {
    @Test("A segment that is removed while it is opened does not stay open")
    func forgetWhileOpening() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        for _ in 0..<2 { try await store.append(.spawning(3)) }
        let runs = store.liveTasks().runs.map(\.run)
        let image = files.crash(keeping: .keepAll)
        let identity = store.shared.files.identity
        try await store.close()
        for round in 0..<40 {
            let copy = image.crash(keeping: .keepAll)
            let reading = ReaderFiles(copy)
            let bodies = LogBodies(
                files: StoreFiles(directory: "/store", fileSystem: reading, identity: identity, epoch: 1, lock: nil),
                capacity: 0)
            let isForgotten = Handoff<Bool>()
            let begun = Mutex(false)
            reading.beforeEach { call, _ in
                // Open, and not yet known to be.
                guard call == .read, !begun.withLock({ exchange(&$0, true) }) else { return }
                let isRemoved = Handoff<Bool>()
                try? SystemThread.start {
                    try? copy.remove("/store/log-0000000001")
                    isRemoved.give(true)
                    bodies.forget(segment: 1)
                    isForgotten.give(true)
                }
                _ = isRemoved.take()
                if round % 2 == 0 { for _ in 0..<1000 { _ = sched_yield() } }
            }
            try bodies.withPayloads(of: runs[0], indexes: 1) { _, _ in }
            _ = isForgotten.take()
            reading.beforeEach(nil)
            // Kept open, it would be read.
            #expect(throws: StoreError.self, "round \(round)") {
                try bodies.withPayloads(of: runs[1], indexes: 1) { _, _ in }
            }
        }
    }

    @Test("Of many segments a few stay open, and all are read")
    func openFiles() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration.exactLog
        configuration.logSegmentBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<100 { try await store.append(.spawning(3)) }
        let runs = store.liveTasks().runs.map(\.run)
        let counting = OpenFiles(files)
        let bodies = LogBodies(
            files: StoreFiles(
                directory: "/store", fileSystem: counting, identity: store.shared.files.identity, epoch: 1, lock: nil),
            capacity: 0)
        for _ in 0..<2 {
            for run in runs {
                var count = 0
                try bodies.withPayloads(of: run, indexes: 0b111) { _, _ in count += 1 }
                #expect(count == 3)
            }
        }
        #expect(runs.count == 100)
        #expect((2...40).contains(counting.mostOpen), "\(counting.mostOpen) are open")
        try await store.close()
    }
}

/// Files that are counted while they are open.
private final class OpenFiles: FileSystem {
    private let files: any FileSystem
    private let counts = Mutex((open: 0, most: 0))

    init(_ files: any FileSystem) { self.files = files }

    var mostOpen: Int { counts.withLock { $0.most } }

    private final class CountedFile: StoreFile {
        private let file: any StoreFile
        private let owner: OpenFiles

        init(_ file: any StoreFile, _ owner: OpenFiles) {
            (self.file, self.owner) = (file, owner)
            owner.counts.withLock { $0 = ($0.open + 1, max($0.most, $0.open + 1)) }
        }

        deinit { owner.counts.withLock { $0.open -= 1 } }

        var path: FilePath { file.path }
        func size() throws(FileError) -> Int { try file.size() }
        func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
            try file.read(into: buffer, at: offset)
        }
        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
            try file.write(bytes, at: offset)
        }
        func synchronize() throws(FileError) { try file.synchronize() }
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        CountedFile(try files.open(path, mode), self)
    }
    func openDirectory(_ path: FilePath) throws(FileError) -> any DirectoryHandle { try files.openDirectory(path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { try files.synchronizeDirectory(path) }
    func list(_ directory: FilePath) throws(FileError) -> [String] { try files.list(directory) }
    func createDirectory(_ path: FilePath) throws(FileError) { try files.createDirectory(path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { try files.rename(source, to: target) }
    func remove(_ path: FilePath) throws(FileError) { try files.remove(path) }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { try files.lock(path) }
}

private func exchange(_ value: inout Bool, _ new: Bool) -> Bool {
    defer { value = new }
    return value
}
