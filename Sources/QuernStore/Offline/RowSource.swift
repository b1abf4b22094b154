// SPDX-License-Identifier: Apache-2.0

/// A block of one parent's children, in an index segment, in memory, or in the log before the checkpoint.
struct RowSource: Sendable {
    enum Place: Sendable {
        case block(OfflineBlock)
        case log(LogPlace)
    }

    let entry: DirectoryEntry
    let place: Place

    init(_ block: OfflineBlock) {
        entry = block.entry
        place = .block(block)
    }

    init(_ entry: DirectoryEntry, inLogAt place: LogPlace) {
        self.entry = entry
        self.place = .log(place)
    }

    var isLog: Bool {
        if case .log = place { true } else { false }
    }

    /// The file's name, when it is in one, and the offset of its frame.
    var location: (file: String, offset: Int?) {
        switch place {
        case .log(let place): (StoreFiles.name(.log, UInt64(place.segment)), Int(clamping: place.frameOffset))
        case .block(let block):
            if case .file(let file) = block.place { (file.name, Int(clamping: entry.offset)) } else { ("", nil) }
        }
    }

    static func < (left: RowSource, right: RowSource) -> Bool { left.entry < right.entry }
}

/// A sorted list of blocks from front to back: of a segment as its directory has them, a few entries at a time.
struct RowSourceWalk {
    private static let piece = 1024

    private let directory: IndexDirectory?
    private var sources: [RowSource]
    private var index = 0
    /// Entries of the directory that are in ``sources`` or before.
    private var read = 0

    init(_ sources: [RowSource]) {
        directory = nil
        self.sources = sources
    }

    init(_ directory: IndexDirectory) {
        self.directory = directory
        sources = []
    }

    /// The next block, when it is known without reading the file.
    var known: RowSource? { index < sources.count ? sources[index] : nil }

    /// The next block; nil at the end.
    var next: RowSource? {
        mutating get throws(OfflineFailure) {
            if index == sources.count, let directory, read < directory.count {
                let end = min(read + Self.piece, directory.count)
                sources = try directory.entries(in: read..<end).map { RowSource(OfflineBlock($0, in: directory.file)) }
                read = end
                index = 0
            }
            return known
        }
    }

    mutating func advance() throws(OfflineFailure) {
        index += 1
        _ = try next
    }
}

/// Commit positions of children that are missing where they should be.
struct RowHoles: Sendable {
    /// Whether more may be missing than is known.
    var isUnknown = false
    private var ranges: [TaskID: [Range<UInt64>]] = [:]

    var isEmpty: Bool { !isUnknown && ranges.isEmpty }

    mutating func insert(_ range: Range<UInt64>, of parent: TaskID) { ranges[parent, default: []].append(range) }

    func contains(_ sequence: UInt64, of parent: TaskID) -> Bool {
        isUnknown || ranges[parent]?.contains { $0.contains(sequence) } ?? false
    }

    func overlaps(_ range: ClosedRange<UInt64>, of parent: TaskID) -> Bool {
        isUnknown || ranges[parent]?.contains { $0.overlaps(range) } ?? false
    }
}
