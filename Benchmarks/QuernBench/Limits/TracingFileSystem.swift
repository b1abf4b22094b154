// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization
import SystemPackage

/// The files of the operating system, with a note of each write and sync of the log: what ``WriteTrace/replay()`` does
/// again with nothing but the calls.
final class TracingFileSystem: FileSystem {
    private let base = PosixFileSystem()
    fileprivate let trace = Mutex(WriteTrace())
    /// False leaves out the syncs, for what only has to be there.
    fileprivate let synchronizes: Bool

    init(synchronizes: Bool = true) { self.synchronizes = synchronizes }

    /// Begins a new trace and returns the one so far.
    @discardableResult
    func takeTrace() -> WriteTrace {
        trace.withLock { trace in
            defer { trace = WriteTrace() }
            return trace
        }
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        let file = try base.open(path, mode)
        let isLog = path.lastComponent?.string.hasPrefix("log-") == true
        return isLog || !synchronizes ? TracingFile(file, self) : file
    }

    func list(_ directory: FilePath) throws(FileError) -> [String] { try base.list(directory) }
    func createDirectory(_ path: FilePath) throws(FileError) { try base.createDirectory(path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { try base.rename(source, to: target) }
    func remove(_ path: FilePath) throws(FileError) { try base.remove(path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) {
        if synchronizes { try base.synchronizeDirectory(path) }
    }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { try base.lock(path) }
}

private final class TracingFile: StoreFile {
    private let file: any StoreFile
    private let fileSystem: TracingFileSystem

    init(_ file: any StoreFile, _ fileSystem: TracingFileSystem) {
        self.file = file
        self.fileSystem = fileSystem
    }

    var path: FilePath { file.path }
    func size() throws(FileError) -> Int { try file.size() }
    func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        fileSystem.trace.withLock { $0.calls.append(.write(path, offset: offset, count: bytes.count)) }
        try file.write(bytes, at: offset)
    }

    func synchronize() throws(FileError) {
        guard fileSystem.synchronizes else { return }
        fileSystem.trace.withLock { $0.calls.append(.synchronize(path)) }
        try file.synchronize()
    }
}
