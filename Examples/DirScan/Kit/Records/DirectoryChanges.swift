// SPDX-License-Identifier: Apache-2.0

/// How a directory differs from what the previous scan remembered of it, in numbers of entries.
struct DirectoryChanges: Equatable, Sendable {
    /// New, or not the same as before.
    var discovered: UInt64 = 0
    /// The same as before.
    var skipped: UInt64 = 0
    /// Remembered, and not there any more.
    var deleted: UInt64 = 0
    /// Those of `discovered` that may have been there before: the record of a very large directory does not reach
    /// them (``DirectoryRecord``).
    var unremembered: UInt64 = 0

    init(discovered: UInt64 = 0, skipped: UInt64 = 0, deleted: UInt64 = 0, unremembered: UInt64 = 0) {
        self.discovered = discovered
        self.skipped = skipped
        self.deleted = deleted
        self.unremembered = unremembered
    }

    /// Compares entries, in order, with the record of the previous scan, if there is one, in one pass over both.
    ///
    /// Names that share a hash are paired in the order of their fingerprints: the sums stay right, and whether such an
    /// entry is called new or the same may be wrong once in 2^64 pairs.
    init(of entries: [EntryRecord], since record: DirectoryRecord?) {
        guard let record else {
            discovered = UInt64(entries.count)
            return
        }
        let horizon = record.horizon
        var old = 0
        for entry in entries {
            while old < record.remembered && record[old].nameHash < entry.nameHash {
                deleted += 1
                old += 1
            }
            if old < record.remembered, record[old].nameHash == entry.nameHash {
                if record[old].fingerprint == entry.fingerprint { skipped += 1 } else { discovered += 1 }
                old += 1
            } else {
                discovered += 1
                if entry.nameHash > horizon { unremembered += 1 }
            }
        }
        deleted += UInt64(record.remembered - old)
    }
}
