// SPDX-License-Identifier: Apache-2.0

/// The index segment that blocks are appended to, as far as it is written.
struct OpenIndexSegment: Sendable {
    let file: IndexFile
    /// Synced by the writer, which seals it, and by checkpoints beside it.
    let output: SharedFile
    /// Keeps the next writer from going on with the file; nil for a reader. Whoever ends writing to it lets go.
    let hold: (any FileLock)?
    /// Where the next frame goes, and what it continues.
    var encoder: FrameEncoder
    var directory: OpenDirectory

    init(
        number: UInt32, output: SharedFile, hold: (any FileLock)?, encoder: FrameEncoder,
        entries: [DirectoryEntry] = []
    ) {
        file = IndexFile(number: number, file: output)
        self.output = output
        self.hold = hold
        self.encoder = encoder
        directory = OpenDirectory(entries)
    }

    /// Bytes that are written.
    var length: Int { Int(encoder.position) }

    /// The blocks of a parent, in no order.
    func extents(of parent: TaskID) -> [BlockExtent] {
        let found = directory.entries(of: parent)
        if !found.isEmpty { file.note(written: length) }
        return found.map { BlockExtent($0, in: file) }
    }
}
