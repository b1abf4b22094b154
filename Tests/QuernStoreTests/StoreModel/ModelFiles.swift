// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// Where a model's store lies, and what a crash leaves of it.
enum ModelFiles {
    case simulated(SimulatedFileSystem)
    case real(TemporaryDirectory)

    enum Kind: String, Sendable, CaseIterable {
        case simulated
        case real
    }

    init(_ kind: Kind) throws {
        switch kind {
        case .simulated: self = .simulated(SimulatedFileSystem())
        case .real: self = .real(try TemporaryDirectory())
        }
    }

    var fileSystem: any FileSystem {
        switch self {
        case .simulated(let files): files
        case .real: PosixFileSystem()
        }
    }

    var store: FilePath {
        switch self {
        case .simulated: "/store"
        case .real(let directory): directory.path.appending("store")
        }
    }

    /// The files as they are now, elsewhere: what the death of the process leaves. The store must be at rest.
    func copy() throws -> ModelFiles {
        switch self {
        case .simulated(let files): return .simulated(files.crash(keeping: .keepAll))
        case .real:
            let copy = try TemporaryDirectory()
            let target = copy.path.appending("store")
            try fileSystem.createDirectory(target)
            for name in try fileSystem.list(store) {
                try Self.copy(store.appending(name), to: target.appending(name))
            }
            return .real(copy)
        }
    }

    private static func copy(_ source: FilePath, to target: FilePath) throws(FileError) {
        let fileSystem = PosixFileSystem()
        let from = try fileSystem.open(source, .readOnly)
        let to = try fileSystem.open(target, .createNew)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: try from.size(), alignment: 1)
        defer { buffer.deallocate() }
        let count = try from.read(into: buffer, at: 0)
        try to.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: 0)
    }
}
