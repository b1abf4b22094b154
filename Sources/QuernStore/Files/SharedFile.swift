// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// A file that the writer appends to, and the one door to it.
///
/// Several threads sync it. The system tells of bytes that it could not write once, to who syncs first; here everyone
/// hears of it, then and ever after, before a later sync counts (S4). And nothing is written by who lost the store's
/// lock: the next writer may have the file open too (S1).
final class SharedFile: StoreFile {
    private let file: any StoreFile
    private let lock: (any FileLock)?
    private let failure = Mutex<FileError?>(nil)

    /// - Parameter lock: the store's; nil where nothing is written.
    init(_ file: any StoreFile, lock: (any FileLock)? = nil) {
        self.file = file
        self.lock = lock
    }

    var path: FilePath { file.path }
    func size() throws(FileError) -> Int { try file.size() }
    func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try lock?.check()
        try file.write(bytes, at: offset)
    }

    func discard(_ range: Range<Int>) {
        // The next writer may have read what lies there, also of a write that failed here, and count on it.
        do throws(FileError) { try lock?.check() } catch { return }
        file.discard(range)
    }

    func synchronize() throws(FileError) {
        try failure.withLock { (failure) throws(FileError) in
            if let failure { throw failure }
            do throws(FileError) { try file.synchronize() } catch {
                failure = error
                throw error
            }
        }
    }
}
