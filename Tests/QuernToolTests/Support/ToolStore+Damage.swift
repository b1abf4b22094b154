// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

extension ToolStore {
    /// Changes a bit of a byte of a file; once more, and it is as before.
    func flip(_ file: String, at offset: Int) throws {
        let file = try PosixFileSystem().open(path.appending(file), .readWrite)
        try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
            _ = try file.read(into: byte, at: offset)
            byte[0] ^= 4
            try file.write(UnsafeRawBufferPointer(byte), at: offset)
        }
    }

    /// The names of the store's files of a kind, in order.
    func files(_ prefix: String = "") throws -> [String] {
        try PosixFileSystem().list(path).filter { $0.hasPrefix(prefix) && $0 != "LOCK" && $0 != "RESERVE" }.sorted()
    }
}
