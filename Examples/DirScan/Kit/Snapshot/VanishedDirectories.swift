// SPDX-License-Identifier: Apache-2.0

/// Tells what became of a directory that the previous snapshot knows and this scan did not come across.
///
/// A scan comes across a directory when its parent is listed: the same commit that stores the parent's memo spawns a
/// child for each sub-directory. So the parent decides:
///
/// - **The parent was listed this time.** The directory was not in it any more: it is gone.
/// - **The parent is there but was not listed** (permission denied, an I/O error, cancelled, on a file system that is
///   left out). Nobody looked: the directory stays as it was, and so does its record.
/// - **The scan did not come across the parent either.** Then the parent has a parent, and the question goes up, by the
///   parent keys in the previous index. The root ends the chain: a scan always comes across its root.
///
/// A directory that could not be listed because it was gone when its turn came (``ListingFailure/meansGone``) counts as
/// one that the scan did not come across: its parent was listed, so it and all below it are gone.
///
/// Where the chain breaks, because no index knows a parent, the directory is gone: a parent that exists is known to
/// the new index. Snapshots written here have no such gaps, since a kept directory's ancestors are kept with it.
struct VanishedDirectories {
    private let before: SortedIndex
    private let now: SortedIndex

    /// Verdicts on parents, so that a deep tree that goes as a whole does not walk up from each of its directories.
    /// Of fixed size; a newer verdict replaces an older one in its place.
    private var verdicts: [(parent: DirectoryKey, isGone: Bool)?]

    private static let verdictCount = 16_384

    /// The ancestors that the current question went through, up to a limit: they share its verdict.
    private var visited: [DirectoryKey] = []

    init(before: SortedIndex, now: SortedIndex) {
        self.before = before
        self.now = now
        verdicts = Array(repeating: nil, count: Self.verdictCount)
    }

    /// Whether a directory that is in the previous index and not in the new one is gone.
    ///
    /// - Complexity: O(depth * log n), much less where neighbours were asked about before.
    mutating func isGone(_ directory: IndexEntry) -> Bool {
        visited.removeAll(keepingCapacity: true)
        let verdict = verdict(from: directory.parent)
        for parent in visited { verdicts[Self.place(parent)] = (parent, verdict) }
        return verdict
    }

    private mutating func verdict(from start: DirectoryKey) -> Bool {
        var parent = start
        // No chain is longer than the index; a damaged one might turn in a circle.
        for _ in 0...before.count {
            if let known = verdicts[Self.place(parent)], known.parent == parent { return known.isGone }
            if visited.count < Self.verdictCount { visited.append(parent) }
            if let entry = now.find(parent) { return entry.isListed }
            guard let above = before.find(parent) else { return true }
            parent = above.parent
        }
        return true
    }

    private static func place(_ key: DirectoryKey) -> Int { Int(key.hash % UInt64(verdictCount)) }
}
