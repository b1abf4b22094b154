// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// An open directory of the operating system. The descriptor is closed when the last reference goes.
final class PosixDirectory: DirectoryHandle {
    private let path: FilePath
    private let descriptor: FileDescriptor

    /// - Parameter descriptor: an open descriptor, which from now on is this object's to close.
    init(path: FilePath, taking descriptor: FileDescriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { try? descriptor.close() }

    /// The corresponding C function is `fsync`.
    func synchronize() throws(FileError) {
        try FileError.naming("fsync", path) { try descriptor.synchronizeAll() }
    }
}
