// SPDX-License-Identifier: Apache-2.0

/// A directory in the index of a snapshot, laid out as in the file: 56 bytes, little-endian.
struct IndexEntry: Equatable, Sendable, BitwiseCopyable {
    var key: DirectoryKey
    /// The directory that holds it, so that the fate of an ancestor can be looked up (``VanishedDirectories``).
    var parent: DirectoryKey
    /// Where its record begins, from the start of the file.
    var offset: UInt64
    var length: UInt32
    /// The number of its entries, at most 2^32 - 1.
    var entries: UInt32
    /// The check of its record.
    var check: UInt64

    /// The offset of a directory that is there but was not listed. Such entries exist only while a snapshot is made.
    private static let unlisted = UInt64.max

    init(key: DirectoryKey, parent: DirectoryKey, offset: UInt64, length: UInt32, entries: UInt32, check: UInt64) {
        self.key = key
        self.parent = parent
        self.offset = offset
        self.length = length
        self.entries = entries
        self.check = check
    }

    /// A directory whose content this scan could not see.
    init(unlisted key: DirectoryKey, parent: DirectoryKey) {
        self.init(key: key, parent: parent, offset: Self.unlisted, length: 0, entries: 0, check: 0)
    }

    var isListed: Bool { offset != Self.unlisted }

    /// By key; of two with one key, the one that was listed, and that which was added first, comes first.
    static func precedes(_ left: IndexEntry, _ right: IndexEntry) -> Bool {
        left.key != right.key ? left.key < right.key : left.offset < right.offset
    }
}

#if _endian(big)
    #error("IndexEntry is written as it lies in memory, and the file is little-endian.")
#endif
