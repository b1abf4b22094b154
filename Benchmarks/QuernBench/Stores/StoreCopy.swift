// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// The files of a store once more. A copy of those of an open store is what a kill leaves, when no write is under way.
enum StoreCopy {
    static func copy(_ source: FilePath, to target: FilePath) throws {
        let fileSystem = PosixFileSystem()
        var chunk = [UInt8](repeating: 0, count: 4 << 20)
        for name in try fileSystem.list(source) {
            let from = try fileSystem.open(source.appending(name), .readOnly)
            let to = try fileSystem.open(target.appending(name), .createNew)
            var offset = 0
            while true {
                let count = try chunk.withUnsafeMutableBytes { bytes throws(FileError) in
                    try from.read(into: bytes, at: offset)
                }
                guard count > 0 else { break }
                try to.write(chunk, count: count, at: offset)
                offset += count
            }
            // As in a store that was in use for a while: its old bytes are on disk already.
            try to.synchronize()
        }
    }
}
