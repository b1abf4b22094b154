// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Files that a writer appends to and the next one would go on with. Each is locked by itself, beside the store: who
/// lost the store's lock may be in the middle of a write, and only a lock that goes with the file can tell (S1).
extension StoreFiles {
    /// A file, and the lock on it.
    struct Held: Sendable {
        let file: SharedFile
        let hold: any FileLock
    }

    /// Creates a file of the store to go on with.
    func createHeld(_ header: FileHeader) throws(FileError) -> Held {
        let file = try create(header)
        do throws(FileError) { return Held(file: file, hold: try fileSystem.lock(file.path)) } catch {
            try? remove(file.path)
            throw error
        }
    }

    /// Takes over a file to go on behind its first `length` bytes. Where another writer has it still, a copy takes its
    /// place: what that one writes is then in a file without a name.
    func takeOver(_ file: any StoreFile, _ header: FileHeader, length: Int) throws(FileError) -> Held {
        do throws(FileError) {
            return Held(file: SharedFile(file, lock: lock), hold: try fileSystem.lock(file.path))
        } catch {
            guard error.isLockTaken else { throw error }
        }
        try put(header) { (copy) throws(FileError) in
            var offset = FileHeader.size
            while offset < length {
                let bytes = try file.read(count: min(1 << 20, length - offset), at: offset)
                if bytes.isEmpty {
                    throw FileError(operation: "read", path: file.path, offset: offset, errno: .ioError)
                }
                try copy.write(bytes, at: offset)
                offset += bytes.count
            }
        }
        let copy = SharedFile(try fileSystem.open(file.path, .readWrite), lock: lock)
        return Held(file: copy, hold: try fileSystem.lock(copy.path))
    }
}
