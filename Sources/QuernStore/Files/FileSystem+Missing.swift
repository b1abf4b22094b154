// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Calls for files that may be gone already: what is no longer needed may be removed at any time.
extension FileSystem {
    /// Opens a file to read it; nil when it is not there.
    func openIfPresent(_ path: FilePath) throws(FileError) -> (any StoreFile)? {
        do throws(FileError) { return try open(path, .readOnly) } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    /// Removes a file, unless it is not there.
    func removeIfPresent(_ path: FilePath) throws(FileError) {
        do throws(FileError) { try remove(path) } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
        }
    }
}
