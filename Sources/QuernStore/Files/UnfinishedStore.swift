// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// A store that is made by a tool counts with its manifest, which comes last. Until then its lock file says that it is
/// being made: so what a killed tool left is told from a store that lost its manifest.
enum UnfinishedStore {
    private static let mark = ", making a store here"

    /// What the maker of a store has in the lock file.
    static var holder: String {
        var text = LockHolder.current
        while text.last?.isWhitespace == true { text.removeLast() }
        return text + mark + ": without a MANIFEST it is none yet\n"
    }

    /// - Throws: ``StoreError/Code/notAStore`` when what an interrupted tool made of a store is in the directory.
    static func refuse(in directory: FilePath, _ fileSystem: any FileSystem) throws(StoreError) {
        // Who goes on hears of a directory that cannot be read.
        guard let names = try? fileSystem.list(directory), !names.contains(StoreFiles.manifestName),
            names.contains(StoreFiles.lockName),
            names.contains(where: { StoreFiles.parse($0) != nil || StoreFiles.isTemporary($0) }),
            LockHolder.read(directory.appending(StoreFiles.lockName), fileSystem).contains(mark)
        else { return }
        throw StoreError(
            .notAStore,
            "a store was to be made in this directory and is not finished; unless a tool is still at work on it, "
                + "remove the directory and make the store again", file: directory)
    }

    /// Removes what is made so far, as far as that is possible. Nothing of it has counted: there is no manifest, or its
    /// writing was what failed. The lock's file goes last.
    static func remove(from directory: FilePath, _ fileSystem: any FileSystem, holding lock: any FileLock) {
        // They may be another writer's by now.
        guard (try? lock.check()) != nil else { return }
        var names = (try? fileSystem.list(directory)) ?? []
        // It counts no more.
        if let manifest = names.firstIndex(of: StoreFiles.manifestName) { names.swapAt(manifest, 0) }
        for name in names
        where name == StoreFiles.manifestName || StoreFiles.parse(name) != nil || StoreFiles.isTemporary(name) {
            try? fileSystem.remove(directory.appending(name))
        }
        try? fileSystem.remove(directory.appending(StoreFiles.lockName))
    }
}
