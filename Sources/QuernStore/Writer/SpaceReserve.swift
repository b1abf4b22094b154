// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Space that a store holds back in a file of zeros, for the day when it has filled its disk: with it trees can be
/// dropped and what they took be given back all the same (S4, S15).
///
/// What is held is the length of the file, which grows piece by piece as far as there is space. A new store has none;
/// of one that is opened with less than it should have, the rest may have been given away.
///
/// | | a checkpoint counts | no space for it, or for a drop | anything else is to be committed |
/// |---|---|---|---|
/// | all is held | - | all released: try again | goes on |
/// | less, none was released | it grows | what there is released: try again | goes on |
/// | less, some was released | it grows | what there is released: try again | first all held again, else it fails |
/// | none | it grows | fails | the same |
/// | more than is wanted | made anew | all released: try again | goes on |
///
/// Used by the writer alone, but for the sync.
struct SpaceReserve: Sendable {
    /// Written over and over again.
    private static let piece = [UInt8](repeating: 0, count: 64 << 10)

    private let files: StoreFiles
    private let wanted: Int
    /// The length of the file.
    private var held: Int
    /// Whether some was given away and is not held again.
    private(set) var isSpent: Bool
    private var isSynced: Bool

    /// - Parameter foundBytes: the length of the file of a store that exists; nil for a new store.
    init(files: StoreFiles, bytes: Int, foundBytes: Int? = nil) {
        self.files = files
        wanted = min(max(bytes, 0), Limits.reserveBytes)
        held = foundBytes ?? 0
        isSpent = foundBytes.map { [wanted] in $0 < wanted } ?? false
        isSynced = held == 0
    }

    /// Runs `body`, and when that finds no space, once more with what a store that is not open holds back. Who opens it
    /// next holds it again.
    static func givingBack<Value, Failure: Error>(
        in directory: FilePath, _ fileSystem: any FileSystem, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        do throws(Failure) { return try body() } catch {
            guard (error as? StoreError)?.code == .noSpace,
                (try? fileSystem.remove(directory.appending(StoreFiles.reserveName))) != nil
            else { throw error }
            return try body()
        }
    }

    /// Gives the space back to the file system. False when there is none to give.
    mutating func release() -> Bool {
        guard held > 0, remove() else { return false }
        isSpent = true
        return true
    }

    /// Takes what is missing, as far as there is space, and keeps that: so who finds none tries it with one write.
    /// False when there was not enough. Other failures hold nobody up.
    @discardableResult
    mutating func hold() -> Bool {
        if held > wanted, !remove() { return true }
        var isFull = false
        if held < wanted {
            isSynced = false
            do throws(FileError) { try grow() } catch { isFull = error.isNoSpace }
        }
        if !isFull { isSpent = false }
        return !isFull
    }

    private mutating func grow() throws(FileError) {
        // Perhaps there is one of length 0, as a power loss leaves it.
        if held == 0 { try files.remove(files.reservePath) }
        let file = SharedFile(
            try files.fileSystem.open(files.reservePath, held == 0 ? .createNew : .readWrite), lock: files.lock)
        while held < wanted {
            let count = min(Self.piece.count, wanted - held)
            do throws(FileError) {
                try file.write(Array(Self.piece[..<count]), at: held)
                held += count
            } catch {
                // What fitted is held.
                held = (try? file.size()) ?? held
                throw error
            }
        }
    }

    private mutating func remove() -> Bool {
        guard (try? files.remove(files.reservePath)) != nil else { return false }
        held = 0
        return true
    }

    /// Whether the next checkpoint is to sync it; from then on it counts as synced.
    mutating func takeUnsynced() -> Bool {
        defer { isSynced = true }
        return !isSynced && held > 0
    }
}

extension StoreFiles {
    fileprivate var reservePath: FilePath { directory.appending(Self.reserveName) }

    /// So that a power loss leaves the space taken. When it fails, the next opening finds the file as it is.
    func synchronizeReserve() {
        // Opened for this alone: a file that is open would keep the space that is given back.
        try? fileSystem.open(reservePath, .readWrite).synchronize()
    }
}
