// SPDX-License-Identifier: Apache-2.0
import SystemPackage

@testable import QuernStore

/// Files of which those of logs are counted while they are open, and of which the next write to a log reaches the file,
/// takes long, and fails.
final class SlowFiles: FileSystem {
    private let base: any FileSystem
    private let counts = MutexBox<(open: Int, peak: Int)>((0, 0))
    private let body = MutexBox<(@Sendable () -> Void)?>(nil)

    init(_ base: any FileSystem = PosixFileSystem()) { self.base = base }

    /// The most files of logs that were open at a time.
    var peak: Int { counts.value.peak }
    fileprivate func count(_ change: Int) { counts.change { $0 = ($0.open + change, max($0.peak, $0.open + change)) } }

    func afterWrite(_ run: @escaping @Sendable () -> Void) { body.change { $0 = run } }

    fileprivate func takeBody() -> (@Sendable () -> Void)? {
        var taken: (@Sendable () -> Void)?
        body.change { swap(&taken, &$0) }
        return taken
    }

    func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        let file = try base.open(path, mode)
        return path.string.contains("/log-") ? SlowFile(file, self) : file
    }
    func list(_ directory: FilePath) throws(FileError) -> [String] { try base.list(directory) }
    func createDirectory(_ path: FilePath) throws(FileError) { try base.createDirectory(path) }
    func rename(_ source: FilePath, to target: FilePath) throws(FileError) { try base.rename(source, to: target) }
    func remove(_ path: FilePath) throws(FileError) { try base.remove(path) }
    func synchronizeDirectory(_ path: FilePath) throws(FileError) { try base.synchronizeDirectory(path) }
    func lock(_ path: FilePath) throws(FileError) -> any FileLock { try base.lock(path) }
}

private final class SlowFile: StoreFile {
    private let base: any StoreFile
    private let files: SlowFiles
    init(_ base: any StoreFile, _ files: SlowFiles) {
        (self.base, self.files) = (base, files)
        files.count(1)
    }
    deinit { files.count(-1) }

    var path: FilePath { base.path }
    func size() throws(FileError) -> Int { try base.size() }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try base.read(into: buffer, at: offset)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try base.write(bytes, at: offset)
        guard let body = files.takeBody() else { return }
        body()
        throw FileError(operation: "write", path: path, offset: offset, errno: .ioError)
    }
    func discard(_ range: Range<Int>) { base.discard(range) }
    func synchronize() throws(FileError) { try base.synchronize() }
    func map(length: Int) throws(FileError) -> FileMapping { try base.map(length: length) }
}
