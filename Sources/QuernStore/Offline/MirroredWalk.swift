// SPDX-License-Identifier: Apache-2.0

/// The frames of a checkpoint from front to back: where the file is damaged, those of its mirror.
struct MirroredWalk {
    enum Item {
        case frame(RawFrame)
        /// Bytes that are no frame in the file. The mirror's frames of that place follow, which are all of them.
        case spared(FrameWalk.Gap)
        /// Bytes that are no frame in the file, and not all in the mirror. What the mirror has of them follows.
        case gap(FrameWalk.Gap)
    }

    private var walk: FrameWalk
    private let file: RawFile
    private let mirror: RawFile?
    private let segment: UInt32
    private let seed: UInt32
    /// What comes next, the last first.
    private var pending: [RawFrame] = []
    /// Whether nothing is to follow in the file.
    private var isAtEnd = false
    private var isCommitted = false

    init(_ file: RawFile, mirror: RawFile?, seed: UInt32) {
        self.file = file
        self.mirror = mirror
        self.seed = seed
        segment = UInt32(truncatingIfNeeded: file.number)
        walk = FrameWalk(file, segment: segment, seed: seed)
    }

    var position: Int { walk.position }

    mutating func next() throws(FileError) -> Item? {
        if let frame = pending.popLast() { return take(frame) }
        switch try isAtEnd ? nil : walk.next() {
        case .frame(let frame):
            if frame.isIntact { return take(frame) }
            let place = frame.offset..<(frame.offset + frame.length)
            let reason = "wrong checksum of a frame's body"
            if case .spared(let gap)? = fill(FrameWalk.Gap(range: place, isZeros: false, reason: reason)) {
                return .spared(gap)
            }
            pending = []
            return take(frame)
        case .gap(let gap): return fill(gap)
        case nil:
            // The file may have been cut at the end of a frame.
            let end = max(file.size, FileHeader.size)
            guard !isAtEnd, !isCommitted, let mirror, mirror.size > end else { return nil }
            return fill(FrameWalk.Gap(range: end..<mirror.size, isZeros: false, reason: "ends early"))
        }
    }

    private mutating func take(_ frame: RawFrame) -> Item {
        isCommitted = frame.header.kind == .commit
        return .frame(frame)
    }

    /// Takes the frames of the mirror that begin in a gap.
    private mutating func fill(_ gap: FrameWalk.Gap) -> Item? {
        var gap = gap
        if let mirror {
            // What is missing may be longer than what is there.
            if gap.range.upperBound >= file.size, mirror.size > file.size, !isCommitted {
                gap.range = gap.range.lowerBound..<mirror.size
            }
            isAtEnd = gap.range.upperBound >= file.size
            var end = gap.range.lowerBound
            var other = FrameWalk(mirror, from: end, limit: gap.range.upperBound, segment: segment, seed: seed)
            // One that cannot be read tells nothing.
            while case .frame(let frame)? = try? other.next() {
                if frame.offset == end, frame.isIntact { end += frame.length }
                pending.append(frame)
            }
            pending.reverse()
            if end >= min(gap.range.upperBound, mirror.size) { return .spared(gap) }
        }
        return .gap(gap)
    }
}
