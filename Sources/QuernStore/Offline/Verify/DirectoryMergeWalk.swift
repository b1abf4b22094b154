// SPDX-License-Identifier: Apache-2.0

/// The entries of several directories in one order, a few of each at a time.
struct DirectoryMergeWalk {
    /// Entries of all directories that are held, about.
    private static let room = 1 << 18

    private struct Cursor {
        let directory: IndexDirectory
        let number: Int
        var entries: ArraySlice<DirectoryEntry> = []
        var next = 0

        /// Where the entry that comes next is in the directory.
        var index: Int { next - entries.count }
    }

    private let piece: Int
    /// A heap: the cursor with the first entry is at the front.
    private var heap: [Cursor] = []

    init(_ directories: [IndexDirectory]) throws(OfflineFailure) {
        piece = max(16, Self.room / max(1, directories.count))
        for (number, directory) in directories.enumerated() {
            var cursor = Cursor(directory: directory, number: number)
            try fill(&cursor)
            guard !cursor.entries.isEmpty else { continue }
            heap.append(cursor)
            siftUp()
        }
    }

    /// The next entry, the number of its directory and its place there; nil at the end.
    mutating func next() throws(OfflineFailure) -> (entry: DirectoryEntry, directory: Int, index: Int)? {
        guard let first = heap.first, let entry = first.entries.first else { return nil }
        let found = (entry, first.number, first.index)
        heap[0].entries.removeFirst()
        if heap[0].entries.isEmpty { try fill(&heap[0]) }
        if heap[0].entries.isEmpty {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
        }
        siftDown()
        return found
    }

    private func fill(_ cursor: inout Cursor) throws(OfflineFailure) {
        let end = min(cursor.next + piece, cursor.directory.count)
        guard cursor.next < end else { return }
        cursor.entries = try cursor.directory.entries(in: cursor.next..<end)[...]
        cursor.next = end
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        guard let first = heap[left].entries.first, let second = heap[right].entries.first else { return false }
        return first < second
    }

    private mutating func siftUp() {
        var index = heap.count - 1
        while index > 0, isBefore(index, (index - 1) / 2) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown() {
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && isBefore(child, smallest) {
                smallest = child
            }
            if smallest == index { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }
}
