// SPDX-License-Identifier: Apache-2.0
import HeapModule

/// The entries of several directories in one order, a few of each at a time.
struct DirectoryMergeWalk {
    /// Entries of all directories that are held, about.
    private static let room = 1 << 15

    private struct Cursor: Comparable {
        let directory: IndexDirectory
        let number: Int
        /// Never empty in the heap.
        var entries: ArraySlice<DirectoryEntry> = []
        var next = 0

        /// Where the entry that comes next is in the directory.
        var index: Int { next - entries.count }

        static func < (left: Cursor, right: Cursor) -> Bool {
            left.entries[left.entries.startIndex] < right.entries[right.entries.startIndex]
        }

        static func == (left: Cursor, right: Cursor) -> Bool { left.number == right.number }
    }

    private let piece: Int
    private var cursors = Heap<Cursor>()

    init(_ directories: [IndexDirectory]) throws(OfflineFailure) {
        piece = max(16, Self.room / max(1, directories.count))
        for (number, directory) in directories.enumerated() {
            var cursor = Cursor(directory: directory, number: number)
            try fill(&cursor)
            if !cursor.entries.isEmpty { cursors.insert(cursor) }
        }
    }

    /// The next entry, the number of its directory and its place there; nil at the end.
    mutating func next() throws(OfflineFailure) -> (entry: DirectoryEntry, directory: Int, index: Int)? {
        guard var cursor = cursors.min else { return nil }
        let index = cursor.index
        let entry = cursor.entries.removeFirst()
        if cursor.entries.isEmpty { try fill(&cursor) }
        if cursor.entries.isEmpty { cursors.removeMin() } else { cursors.replaceMin(with: cursor) }
        return (entry, cursor.number, index)
    }

    private func fill(_ cursor: inout Cursor) throws(OfflineFailure) {
        let end = min(cursor.next + piece, cursor.directory.count)
        guard cursor.next < end else { return }
        cursor.entries = try cursor.directory.entries(in: cursor.next..<end)[...]
        cursor.next = end
    }
}
