// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Space that a store holds back in a file of zeros, for the day when it has filled its disk: with it trees can be
/// dropped and what they took be given back all the same (S4, S15).
///
/// A new store has none; one that is opened without may have given it away.
///
/// | state | a checkpoint counts | no space for it, or for a drop | anything else is to be committed |
/// |---|---|---|---|
/// | none | held, if there is space | - | goes on |
/// | held | held | released: try again | goes on |
/// | released | held, if there is space | fails | first held again, else it fails |
///
/// Used by the writer thread alone.
struct SpaceReserve: Sendable {
    enum State { case none, held, released }

    private(set) var state: State
    private let files: StoreFiles
    private let bytes: Int
    private var path: FilePath { files.directory.appending(StoreFiles.reserveName) }

    init(files: StoreFiles, bytes: Int, state: State) {
        self.files = files
        self.bytes = bytes
        self.state = state
    }

    /// Gives the space back to the file system. False when there is none to give.
    mutating func release() -> Bool {
        guard state == .held, (try? files.fileSystem.removeIfPresent(path)) != nil else { return false }
        state = .released
        return true
    }

    /// Takes the space, unless it is held. Not synced: it only has to be taken. Returns whether it is held, or not
    /// wanted.
    @discardableResult
    mutating func hold() -> Bool {
        if bytes == 0 || state == .held { return true }
        do throws(FileError) {
            try files.fileSystem.removeIfPresent(path)
            try files.fileSystem.open(path, .createNew).write([UInt8](repeating: 0, count: bytes), at: 0)
        } catch {
            try? files.fileSystem.remove(path)
            return false
        }
        state = .held
        return true
    }
}
