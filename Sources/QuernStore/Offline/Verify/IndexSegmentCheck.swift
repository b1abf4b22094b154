// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// One index segment: its frames, and its directory against its blocks. Its parts are checked by several threads; who
/// comes last looks at what only all parts together tell.
final class IndexSegmentCheck: Sendable {
    /// What a thread takes of a segment at a time, in bytes.
    static let partSize = 16 << 20

    /// What was seen of a part.
    struct Part: Sendable {
        /// Where its first frame begins, and whose chain that continues; nil when no frame begins in it.
        var first: (offset: Int, previous: UInt32)?
        /// Where its last frame ends, and the checksum of its header.
        var end = 0
        var checksum: UInt32 = 0
        /// The directory's entries whose blocks it has, and how far their sequences reach behind the first.
        var found: [(entry: Int, span: UInt32)] = []
        /// Bytes that were told to be lost, so that the entries of what was there need not be told, too.
        var lost: [Range<Int>] = []
    }

    private struct State: Sendable {
        var entries: [DirectoryEntry]?
        var parts: [Part?]
        var spans: [UInt32] = []
    }

    /// The span of an entry whose block was not found.
    static let unknownSpan = UInt32.max

    let directory: IndexDirectory
    private let context: VerifyContext
    private let state: Mutex<State>
    /// The checksum of the last frame's header, where a checkpoint says it.
    private let lastChecksum: UInt32?

    init(_ directory: IndexDirectory, lastChecksum: UInt32?, _ context: VerifyContext) {
        self.directory = directory
        self.lastChecksum = lastChecksum
        self.context = context
        // A checkpoint may say any length. One byte behind the file's end is missed as well as many.
        let size = max(0, min(directory.blocksEnd, directory.file.size + 1) - FileHeader.size)
        state = Mutex(State(parts: Array(repeating: nil, count: max(1, (size + Self.partSize - 1) / Self.partSize))))
    }

    var file: RawFile { directory.file }
    var partCount: Int { state.withLock { $0.parts.count } }
    var bytes: Int { max(0, min(directory.blocksEnd, file.size) - FileHeader.size) }

    /// How far the sequences of each entry's block reach behind its first, in the order of the directory; empty when
    /// the blocks were not read.
    var spans: [UInt32] { state.withLock { $0.spans } }

    /// Checks a part. Blocking.
    func run(part index: Int) {
        let start = FileHeader.size + index * Self.partSize
        let range = start..<max(start, min(start + Self.partSize, directory.blocksEnd))
        var part = Part()
        do throws(OfflineFailure) {
            var check = IndexPartCheck(range, of: self, try entries(), context)
            try check.run()
            part = check.part
        } catch {
            context.damage(file.name, at: start, error.reason, "its children are not read")
            part.lost.append(range)
        }
        let parts = state.withLock { state -> [Part]? in
            state.parts[index] = part
            let all = state.parts.compactMap(\.self)
            return all.count == state.parts.count ? all : nil
        }
        if let parts { finish(parts) }
    }

    /// All entries, while the segment's parts are checked.
    private func entries() throws(OfflineFailure) -> [DirectoryEntry] {
        if let entries = state.withLock({ $0.entries }) { return entries }
        let entries = try directory.entries(in: 0..<directory.count)
        state.withLock { $0.entries = entries }
        return entries
    }

    private func finish(_ parts: [Part]) {
        let entries = state.withLock { state in
            let entries = state.entries ?? []
            state.entries = nil
            return entries
        }
        var lost = parts.flatMap(\.lost)
        checkChain(parts, entries, &lost)
        var spans = [UInt32](repeating: Self.unknownSpan, count: directory.count)
        for found in parts.lazy.flatMap(\.found) {
            if spans[found.entry] == Self.unknownSpan {
                spans[found.entry] = found.span
            } else {
                context.damage(
                    file.name, at: Int(clamping: entries[found.entry].offset), "a block that is there twice",
                    "children of parent \(entries[found.entry].parent) are not shown")
            }
        }
        for (entry, span) in zip(entries, spans) where span == Self.unknownSpan {
            let offset = Int(clamping: entry.offset)
            if lost.contains(where: { $0.contains(offset) }) { continue }
            context.damage(
                file.name, at: offset, "a directory entry whose block is not there",
                "lost: \(StoreFinding.children(entry.outcomeCounts.total, of: TaskID(entry.parent)))")
        }
        state.withLock { $0.spans = spans }
    }

    /// Frame follows frame, across parts, from the file header to the end of the blocks.
    private func checkChain(_ parts: [Part], _ entries: [DirectoryEntry], _ lost: inout [Range<Int>]) {
        var (position, checksum) = (FileHeader.size, 0 as UInt32)
        var isWhole = lost.isEmpty
        func gap(to end: Int) {
            guard position < end else { return }
            isWhole = false
            lost.append(position..<end)
            context.damage(
                file.name, at: position, "no valid frame in \(end - position) bytes",
                Self.loss(in: position..<end, entries))
        }
        for part in parts {
            guard let first = part.first else { continue }
            gap(to: first.offset)
            if isWhole, first.previous != checksum { reportChain(first.offset) }
            (position, checksum) = (part.end, part.checksum)
        }
        gap(to: directory.blocksEnd)
        if isWhole, let lastChecksum, lastChecksum != checksum {
            context.damage(
                file.name, at: directory.blocksEnd, "does not end in the frame that the checkpoint names",
                "its blocks may be others than those that are meant")
        }
    }

    func reportChain(_ offset: Int) {
        context.damage(
            file.name, at: offset, "a frame that does not continue the one before",
            "blocks may be others than those that are meant")
    }

    /// What is lost with some bytes, as the directory has it.
    static func loss(in range: Range<Int>, _ entries: [DirectoryEntry]) -> String {
        var children: UInt64 = 0
        var parents: Set<UInt64> = []
        for entry in entries where range.contains(Int(clamping: entry.offset)) {
            children += entry.outcomeCounts.total
            parents.insert(entry.parent)
        }
        guard let parent = parents.first else { return "nothing that the directory names" }
        return parents.count == 1
            ? "lost: \(StoreFinding.children(children, of: TaskID(parent)))"
            : "lost: \(children) children of \(parents.count) parents"
    }
}
