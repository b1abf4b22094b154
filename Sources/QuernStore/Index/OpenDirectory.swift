// SPDX-License-Identifier: Apache-2.0

/// The directory of the index segment that is written to, in memory until it is sealed: sorted pieces, and a newest
/// one that grows.
///
/// Readers and checkpoints hold copies while the writer goes on: a copy is three references, and what is appended to
/// it moves one piece at most.
struct OpenDirectory: Sendable {
    private static let pieceSize = 1024

    /// The lowest and the highest parent of a piece: most pieces have nothing of a parent that is looked for.
    private struct Parents: Sendable {
        var lowest = UInt64.max
        var highest: UInt64 = 0

        mutating func add(_ parent: UInt64) {
            lowest = min(lowest, parent)
            highest = max(highest, parent)
        }

        func mayHave(_ parent: TaskID) -> Bool { lowest <= parent.rawValue && parent.rawValue <= highest }
    }

    private var full: [[DirectoryEntry]] = []
    private var fullParents: [Parents] = []
    private var newest: [DirectoryEntry] = []
    private var newestParents = Parents()

    init(_ entries: [DirectoryEntry] = []) {
        for entry in entries { append(entry) }
    }

    var count: Int { full.count * Self.pieceSize + newest.count }

    /// All entries, in no order that matters.
    var pieces: [[DirectoryEntry]] { full + [newest] }

    mutating func append(_ entry: DirectoryEntry) {
        newest.append(entry)
        newestParents.add(entry.parent)
        guard newest.count == Self.pieceSize else { return }
        newest.sort()
        full.append(newest)
        fullParents.append(newestParents)
        newest = []
        newestParents = Parents()
    }

    /// All entries in the order of a sealed directory.
    func sorted() -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        entries.reserveCapacity(count)
        for piece in pieces { entries.append(contentsOf: piece) }
        entries.sort()
        return entries
    }

    /// The entries of one parent. A binary search in each piece whose parents are not all others.
    func entries(of parent: TaskID) -> [DirectoryEntry] {
        var found: [DirectoryEntry] = []
        for number in fullParents.indices where fullParents[number].mayHave(parent) {
            let piece = full[number]
            var index = piece.partition { $0.parent >= parent.rawValue }
            while index < piece.count, piece[index].parent == parent.rawValue {
                found.append(piece[index])
                index += 1
            }
        }
        if newestParents.mayHave(parent) {
            for entry in newest where entry.parent == parent.rawValue { found.append(entry) }
        }
        return found
    }
}
