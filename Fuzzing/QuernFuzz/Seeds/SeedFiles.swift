// SPDX-License-Identifier: Apache-2.0
import SystemPackage

@testable import QuernStore

/// Writes what a fuzzer begins with, one file a seed.
enum SeedFiles {
    /// Longer ones are left out: a fuzzer is slow with them, and there are short ones of each kind.
    static let longest = 32 << 10

    /// Returns how many there are.
    static func write(for target: FuzzTarget, into directory: String) throws -> Int {
        let disk = PosixFileSystem()
        let place = FilePath(directory)
        var written = 0
        for seed in try target.decoder.seeds(try GoldenFiles()) where seed.count <= longest {
            let path = place.appending("golden-\(written)")
            try? disk.remove(path)
            let file = try disk.open(path, .createNew)
            try file.write(seed, at: 0)
            written += 1
        }
        return written
    }
}
