// SPDX-License-Identifier: Apache-2.0

/// Walks the directories of several sealed segments as one, by parent and then in sequence: so that all blocks of a
/// parent come together.
///
/// A parent's blocks must follow each other from segment to segment, which they do in segments that are neighbours.
struct DirectoryMerge {
    private var walks: [DirectoryWalk] = []
    /// The walks that have more, by their next entries.
    private var order: [Int] = []

    init(_ segments: ArraySlice<SealedIndexSegment>) throws(StoreError) {
        for segment in segments {
            walks.append(try DirectoryWalk(segment))
            try enqueue(walks.count - 1)
        }
    }

    /// The next entry and the segment that it is in. O(segments), of which little is moved.
    mutating func next() throws(StoreError) -> (entry: DirectoryEntry, file: IndexFile)? {
        guard !order.isEmpty else { return nil }
        let first = order.removeFirst()
        guard let entry = walks[first].next else { return nil }
        try walks[first].advance()
        try enqueue(first)
        return (entry, walks[first].segment.file)
    }

    private mutating func enqueue(_ walk: Int) throws(StoreError) {
        guard let entry = walks[walk].next else { return }
        let place = order.partition { other in
            walks[other].next.map { !Self.precedes($0, other, entry, walk) } ?? true
        }
        order.insert(walk, at: place)
    }

    private static func precedes(_ left: DirectoryEntry, _ a: Int, _ right: DirectoryEntry, _ b: Int) -> Bool {
        (left.parent, left.firstSequence, a) < (right.parent, right.firstSequence, b)
    }
}

/// A walk over the directory of one sealed segment, which is verified first.
struct DirectoryWalk {
    let segment: SealedIndexSegment
    private(set) var next: DirectoryEntry?
    private let mapping: FileMapping
    private var index = 0

    init(_ segment: SealedIndexSegment) throws(StoreError) {
        self.segment = segment
        mapping = try segment.verifiedMapping()
        try advance()
    }

    /// Goes on to the next entry.
    mutating func advance() throws(StoreError) {
        next = index < segment.entryCount ? try segment.entry(at: index, in: mapping) : nil
        index += 1
    }
}
