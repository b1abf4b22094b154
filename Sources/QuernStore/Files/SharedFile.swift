// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// A file that several threads sync. The system tells of bytes that it could not write once, to who syncs first; here
/// everyone hears of it, then and ever after, before a later sync counts (S4).
final class SharedFile: StoreFile {
    private let file: any StoreFile
    private let failure = Mutex<FileError?>(nil)

    init(_ file: any StoreFile) { self.file = file }

    var path: FilePath { file.path }
    func size() throws(FileError) -> Int { try file.size() }
    func map(length: Int) throws(FileError) -> FileMapping { try file.map(length: length) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try file.write(bytes, at: offset)
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
