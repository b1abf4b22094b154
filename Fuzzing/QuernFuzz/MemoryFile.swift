// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization
import SystemPackage

/// A file that is only written, in memory.
final class MemoryFile: StoreFile {
    let path: FilePath = "/memory"
    private let content = Mutex<[UInt8]>([])

    var bytes: [UInt8] { content.withLock { $0 } }

    func size() -> Int { content.withLock { $0.count } }
    func synchronize() {}

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        content.withLock { content in
            if content.count < offset + bytes.count {
                content += repeatElement(0, count: offset + bytes.count - content.count)
            }
            content.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        throw FileError(operation: "read", path: path, errno: .notSupported)
    }

    func map(length: Int) throws(FileError) -> FileMapping {
        throw FileError(operation: "map", path: path, errno: .notSupported)
    }
}
