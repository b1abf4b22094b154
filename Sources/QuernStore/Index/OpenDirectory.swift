// SPDX-License-Identifier: Apache-2.0

/// The directory of the index segment that is written to, in memory until it is sealed: sorted pieces, and a newest
/// one that grows.
///
/// Readers and checkpoints hold copies while the writer goes on: a copy is two references, and what is appended to
/// it moves one piece at most.
struct OpenDirectory: Sendable {
    private static let pieceSize = 1024

    private var full: [[DirectoryEntry]] = []
    private var newest: [DirectoryEntry] = []

    init(_ entries: [DirectoryEntry] = []) {
        for entry in entries { append(entry) }
    }

    var count: Int { full.count * Self.pieceSize + newest.count }

    /// All entries, in no order that matters.
    var pieces: [[DirectoryEntry]] { full + [newest] }

    mutating func append(_ entry: DirectoryEntry) {
        newest.append(entry)
        guard newest.count == Self.pieceSize else { return }
        newest.sort()
        full.append(newest)
        newest = []
    }

    /// All entries in the order of a sealed directory.
    func sorted() -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        entries.reserveCapacity(count)
        for piece in pieces { entries.append(contentsOf: piece) }
        entries.sort()
        return entries
    }

    /// The entries of one parent. A binary search in each piece.
    func entries(of parent: TaskID) -> [DirectoryEntry] {
        var found: [DirectoryEntry] = []
        for piece in full {
            var index = piece.partition { $0.parent >= parent.rawValue }
            while index < piece.count, piece[index].parent == parent.rawValue {
                found.append(piece[index])
                index += 1
            }
        }
        for entry in newest where entry.parent == parent.rawValue { found.append(entry) }
        return found
    }
}
