// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// How long one small write and its sync take, one after the other with nobody else about.
enum SyncLatency {
    /// - Returns: microseconds, one for each of `count` appends of 4 KiB.
    static func appends(_ count: Int = 300) throws -> [Double] {
        let directory = try TemporaryDirectory()
        let file = try PosixFileSystem().open(directory.path.appending("file"), .createNew)
        var random = SeededGenerator(seed: 1)
        let page = random.bytes(4 << 10)
        var samples: [Double] = []
        for index in 0..<count {
            let start = ContinuousClock.now
            try file.write(page, count: page.count, at: index * page.count)
            try file.synchronize()
            samples.append((ContinuousClock.now - start).inSeconds * 1e6)
        }
        return samples
    }
}

extension StoreFile {
    /// Writes the first `count` bytes at `offset`, or throws.
    func write(_ bytes: [UInt8], count: Int, at offset: Int) throws(FileError) {
        try bytes.span.bytes.extracting(first: count).withUnsafeBytes { (buffer) throws(FileError) in
            try write(buffer, at: offset)
        }
    }
}
