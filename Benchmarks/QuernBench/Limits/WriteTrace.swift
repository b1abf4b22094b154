// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// The writes and syncs that a store made, in order.
struct WriteTrace: Sendable {
    enum Call: Sendable {
        case write(FilePath, offset: Int, count: Int)
        case synchronize(FilePath)
    }

    var calls: [Call] = []

    var bytes: Int {
        calls.reduce(0) { sum, call in
            if case .write(_, _, let count) = call { sum + count } else { sum }
        }
    }

    var synchronizations: Int {
        calls.count { call in
            if case .synchronize = call { true } else { false }
        }
    }

    /// Makes the same writes and syncs on new files, and nothing else: the least time that this machine needs for what
    /// the store asked of it.
    func replay() throws -> Duration {
        let directory = try TemporaryDirectory()
        let fileSystem = PosixFileSystem()
        var files: [FilePath: any StoreFile] = [:]
        var largest = 0
        // What stood in a file before the trace began stands in its twin too.
        for case .write(let path, let offset, let count) in calls {
            largest = max(largest, count)
            guard files[path] == nil, let name = path.lastComponent else { continue }
            let file = try fileSystem.open(directory.path.appending(name), .createNew)
            let before = [UInt8](repeating: 1, count: offset)
            try file.write(before, count: before.count, at: 0)
            try file.synchronize()
            files[path] = file
        }
        var random = SeededGenerator(seed: 1)
        let content = random.bytes(largest)
        return try timed {
            for call in calls {
                switch call {
                case .write(let path, let offset, let count):
                    try files[path]?.write(content, count: count, at: offset)
                case .synchronize(let path): try files[path]?.synchronize()
                }
            }
        }
    }
}
