// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Index entries by key in a mapped file: searched in place, in constant memory.
final class SortedIndex: Sendable {
    let file: MappedFile
    let count: Int
    private let start: Int
    private let searches = Atomic<Int>(0)

    /// After so many searches all pages leave memory. A search touches one or two places of the index and the record
    /// that it leads to; the kernel maps the neighbours of a touched page along, 64 KiB at a time. Siblings lie side by
    /// side, so 128 searches touch a few megabytes, whatever the size of the file. Each discard interrupts the other
    /// processors: one in 32 searches took a tenth of a whole scan's time.
    private static let searchesBetweenDiscards = 128

    /// - Precondition: `count` entries from `start` lie in the file.
    init(_ file: MappedFile, start: Int, count: Int) {
        precondition(start >= 0 && count >= 0 && count <= (file.length - start) / SnapshotFormat.entryLength)
        self.file = file
        self.start = start
        self.count = count
    }

    subscript(position: Int) -> IndexEntry {
        precondition(position >= 0 && position < count)
        return file.bytes.loadUnaligned(
            fromByteOffset: start + position * SnapshotFormat.entryLength, as: IndexEntry.self)
    }

    private func key(_ position: Int) -> DirectoryKey {
        precondition(position >= 0 && position < count)
        return file.bytes.loadUnaligned(
            fromByteOffset: start + position * SnapshotFormat.entryLength, as: DirectoryKey.self)
    }

    /// The entry of a directory, by binary search.
    ///
    /// Keys are hashes, spread evenly, so that a key says about where it stands: the search begins in a window around
    /// that place, and in the whole index only when the window turns out to be wrong. This touches a page or two
    /// instead of a dozen.
    ///
    /// - Complexity: O(log n).
    func find(_ wanted: DirectoryKey) -> IndexEntry? {
        if searches.add(1, ordering: .relaxed).newValue % Self.searchesBetweenDiscards == 0 {
            file.discard(0..<file.length)
        }
        var (low, high) = window(around: wanted)
        while low < high {
            let middle = low + (high - low) / 2
            if key(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        return low < count && key(low) == wanted ? self[low] : nil
    }

    /// Bounds of the place of a key: everything before `low` is less, and everything from `high` on is not.
    ///
    /// Of n keys that fall anywhere, the number below a given value strays from its mean by at most half the root of n,
    /// as a standard deviation. Four of those to either side leave out one key in 15,000.
    private func window(around wanted: DirectoryKey) -> (low: Int, high: Int) {
        let place = Int(wanted.parentHash.multipliedFullWidth(by: UInt64(count)).high)
        let reach = 2 * Int(Double(count).squareRoot()) + 1
        var low = max(place - reach, 0)
        var high = min(place + reach, count)
        if low > 0 && key(low - 1) >= wanted { low = 0 }
        if high < count && key(high) < wanted { high = count }
        return (low, high)
    }

    /// The entry at `position`, which moves on; nil at the end. For walking two indexes side by side.
    func next(_ position: inout Int) -> IndexEntry? {
        guard position < count else { return nil }
        let entry = self[position]
        position += 1
        if position % 16_384 == 0 { file.discard(0..<file.length) }
        return entry
    }

    /// The bytes of the entries in blocks, as the check runs over them.
    func forEachBlock(_ body: (UnsafeRawBufferPointer) throws(SnapshotError) -> Void) throws(SnapshotError) {
        let length = SnapshotFormat.entriesPerBlock * SnapshotFormat.entryLength
        let end = start + count * SnapshotFormat.entryLength
        for block in stride(from: start, to: end, by: length) {
            let range = block..<min(block + length, end)
            try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
            file.discard(range)
        }
    }
}
