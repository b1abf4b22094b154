// SPDX-License-Identifier: Apache-2.0

/// Which blocks an index segment has, by parent: read off its directory, or where that is damaged off the blocks.
struct IndexDirectory: Sendable {
    private enum Entries: Sendable {
        /// In the file, verified.
        case sealed(start: Int, count: Int)
        /// Sorted as a directory is.
        case memory([DirectoryEntry])
    }

    /// Entries that are read at a time.
    private static let piece = 4096

    let file: RawFile
    /// Where the blocks end.
    let blocksEnd: Int
    private let entries: Entries

    /// Of a segment that is not sealed, or whose directory is damaged.
    init(_ file: RawFile, blocksEnd: Int, entries: [DirectoryEntry]) {
        self.file = file
        self.blocksEnd = blocksEnd
        self.entries = .memory(entries.sorted())
    }

    /// Of a sealed segment, whose directory is checked without holding it.
    init(
        _ file: RawFile, directoryOffset: UInt64, count: Int, seed: UInt32
    ) throws(OfflineFailure) {
        let offset = Int(clamping: directoryOffset)
        let segment = UInt32(truncatingIfNeeded: file.number)
        let head = try file.bytes(offset..<(offset + FrameHeader.size))
        guard
            let header = head.withUnsafeBytes({
                FrameHeader(detached: $0, offset: directoryOffset, segment: segment, seed: seed)
            }), header.kind == .directory, header.codec == .raw, header.rawLength == count * DirectoryEntry.size,
            file.size - offset - FrameHeader.size >= header.storedLength
        else { throw .decoding("no valid directory frame") }
        self.file = file
        blocksEnd = offset
        entries = .sealed(start: offset + FrameHeader.size, count: count)
        var checksum = seed
        var last: DirectoryEntry?
        var problem: String?
        try forEachPiece { bytes in
            checksum = bytes.withUnsafeBytes { Checksum.crc32c($0, seed: checksum) }
        } entry: { entry in
            if !entry.lies(before: directoryOffset) { problem = "a directory entry points outside its segment" }
            if let last, !(last < entry) { problem = "the directory is not sorted" }
            last = entry
        }
        guard checksum == header.bodyChecksum else { throw .decoding("wrong checksum of the directory") }
        if let problem { throw .decoding(problem) }
    }

    var count: Int {
        switch entries {
        case .sealed(_, let count): count
        case .memory(let entries): entries.count
        }
    }

    func entry(at index: Int) throws(OfflineFailure) -> DirectoryEntry {
        switch entries {
        case .memory(let entries): return entries[index]
        case .sealed(let start, _):
            let offset = start + index * DirectoryEntry.size
            return try Self.entry(in: try file.bytes(offset..<(offset + DirectoryEntry.size)), at: 0)
        }
    }

    /// Some entries in order.
    func entries(in range: Range<Int>) throws(OfflineFailure) -> [DirectoryEntry] {
        switch entries {
        case .memory(let entries): return Array(entries[range])
        case .sealed(let start, _):
            var found: [DirectoryEntry] = []
            found.reserveCapacity(range.count)
            for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.piece) {
                let count = min(Self.piece, range.upperBound - first)
                let offset = start + first * DirectoryEntry.size
                let bytes = try file.bytes(offset..<(offset + count * DirectoryEntry.size))
                for index in 0..<count { found.append(try Self.entry(in: bytes, at: index)) }
            }
            return found
        }
    }

    /// The blocks of a parent in sequence order. A binary search in the file.
    func entries(of parent: TaskID) throws(OfflineFailure) -> [DirectoryEntry] {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if try entry(at: middle).parent < parent.rawValue { low = middle + 1 } else { high = middle }
        }
        var found: [DirectoryEntry] = []
        while low < count {
            let entry = try entry(at: low)
            guard entry.parent == parent.rawValue else { break }
            found.append(entry)
            low += 1
        }
        return found
    }

    /// All entries in order, a few at a time.
    func forEachEntry(_ body: (DirectoryEntry) -> Void) throws(OfflineFailure) {
        try forEachPiece({ _ in }, entry: body)
    }

    private func forEachPiece(
        _ piece: ([UInt8]) -> Void, entry: (DirectoryEntry) -> Void
    ) throws(OfflineFailure) {
        switch entries {
        case .memory(let entries): entries.forEach(entry)
        case .sealed(let start, let count):
            for first in stride(from: 0, to: count, by: Self.piece) {
                let offset = start + first * DirectoryEntry.size
                let length = min(Self.piece, count - first) * DirectoryEntry.size
                let bytes = try file.bytes(offset..<(offset + length))
                guard bytes.count == length else { throw .decoding("the directory passes the end of the file") }
                piece(bytes)
                for index in 0..<(length / DirectoryEntry.size) { entry(try Self.entry(in: bytes, at: index)) }
            }
        }
    }

    private static func entry(in bytes: [UInt8], at index: Int) throws(OfflineFailure) -> DirectoryEntry {
        do throws(DecodingFailure) {
            return try bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                var reader = ByteReader(bytes, at: index * DirectoryEntry.size)
                return try DirectoryEntry(&reader)
            }
        } catch { throw .decoding(error.reason) }
    }
}

/// Why something could not be read.
enum OfflineFailure: Error {
    case file(FileError)
    case decoding(String)

    var reason: String {
        switch self {
        case .file(let error): "\(error)"
        case .decoding(let reason): reason
        }
    }
}
