// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// The names in a store's directory, and how its files come into being (S7): written under a temporary name, synced,
/// renamed, the directory synced. A writer whose lock was taken away writes to, replaces and removes nothing.
struct StoreFiles: Sendable {
    let directory: FilePath
    let fileSystem: any FileSystem
    let identity: StoreIdentity
    let epoch: UInt64
    /// The writer's; a reader has none.
    let lock: (any FileLock)?

    static let manifestName = "MANIFEST"
    static let lockName = "LOCK"
    static let reserveName = "RESERVE"
    static let temporarySuffix = ".new"

    static func name(_ kind: FileHeader.Kind, _ number: UInt64) -> String {
        let digits = String(number)
        let padded = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
        switch kind {
        case .log: return "log-\(padded)"
        case .index: return "index-\(padded)"
        case .checkpoint: return "checkpoint-\(padded)"
        case .mirror: return "mirror-\(padded)"
        case .manifest: return manifestName
        }
    }

    private static let prefixes: [(String, FileHeader.Kind)] = [
        ("log-", .log), ("index-", .index), ("checkpoint-", .checkpoint), ("mirror-", .mirror),
    ]

    /// Kind and number of a file by its name, or nil for a name that no store file has.
    static func parse(_ name: String) -> (kind: FileHeader.Kind, number: UInt64)? {
        for (prefix, kind) in prefixes where name.hasPrefix(prefix) {
            let digits = name.utf8.dropFirst(prefix.utf8.count)
            guard digits.count >= 10, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let number = UInt64(name.dropFirst(prefix.count)), number > 0, Self.name(kind, number) == name
            else { return nil }
            return (kind, number)
        }
        return nil
    }

    /// Whether a name is one under which a file of the store is written before it is renamed.
    static func isTemporary(_ name: String) -> Bool {
        guard name.hasSuffix(temporarySuffix) else { return false }
        let final = String(name.dropLast(temporarySuffix.count))
        return final == manifestName || parse(final) != nil
    }

    func path(_ kind: FileHeader.Kind, _ number: UInt64) -> FilePath {
        directory.appending(Self.name(kind, number))
    }

    /// Creates a file of the store to go on with.
    ///
    /// - Parameter replacing: whether the store already counts on a file of that name. It then stays when it cannot be
    ///   opened, else it is removed.
    func create(_ header: FileHeader, replacing: Bool = false) throws(FileError) -> SharedFile {
        try put(header)
        let path = path(header.kind, header.number)
        // Opened again, so that errors name the file by the name that it has now.
        do throws(FileError) { return SharedFile(try fileSystem.open(path, .readWrite), lock: lock) } catch {
            if !replacing { try? remove(path) }
            throw error
        }
    }

    /// Removes a file, unless it is not there.
    func remove(_ path: FilePath) throws(FileError) {
        try lock?.check()
        try fileSystem.removeIfPresent(path)
    }

    /// Writes a whole file of the store, durably and under its final name in one step. `fill` writes what comes behind
    /// the header.
    func put(
        _ header: FileHeader, fill: (any StoreFile) throws(FileError) -> Void = { _ throws(FileError) in }
    ) throws(FileError) {
        let path = path(header.kind, header.number)
        let temporary = directory.appending(Self.name(header.kind, header.number) + Self.temporarySuffix)
        try lock?.check()
        do throws(FileError) {
            try put(header, fill, temporary: temporary, path: path)
        } catch {
            // A leftover would only take space; the next opening removes it too. It may be another writer's by now.
            if !error.isLockLost { try? fileSystem.remove(temporary) }
            throw error
        }
    }

    private func put(
        _ header: FileHeader, _ fill: (any StoreFile) throws(FileError) -> Void, temporary: FilePath, path: FilePath
    ) throws(FileError) {
        try fileSystem.removeIfPresent(temporary)
        // Before the rename, behind which nobody could tell what counts (S4).
        let directory = try fileSystem.openDirectory(directory)
        let file = try fileSystem.open(temporary, .createNew)
        try file.write(header.encoded(), at: 0)
        try fill(file)
        try file.synchronize()
        try lock?.check()
        try fileSystem.rename(temporary, to: path)
        try directory.synchronize()
    }

    func header(_ kind: FileHeader.Kind, number: UInt64) -> FileHeader {
        FileHeader(kind: kind, number: number, identity: identity, epoch: epoch)
    }
}
