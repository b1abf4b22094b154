// SPDX-License-Identifier: Apache-2.0

/// The frames of a damaged checkpoint and its damaged mirror, which has the same: in order, each that is whole in one
/// of them.
struct MirroredFrames {
    enum Item {
        case frame(RawFrame)
        /// Frames that are in neither.
        case lost(at: Int, reason: String)
    }

    private var sides: [Side]
    /// Where the next frame begins.
    private var position = FileHeader.size
    /// What comes behind frames that are lost.
    private var pending: RawFrame?
    private var isAtEnd = false

    init(_ files: [RawFile], seed: UInt32) { sides = files.map { Side($0, seed: seed) } }

    mutating func next() -> Item? {
        if let frame = pending {
            pending = nil
            return take(frame)
        }
        if isAtEnd { return nil }
        for index in sides.indices { sides[index].advance(to: position) }
        guard let frame = sides.compactMap(\.frame).min(by: { $0.offset < $1.offset }) else {
            isAtEnd = true
            return .lost(at: position, reason: reason)
        }
        if frame.offset == position { return take(frame) }
        pending = frame
        return .lost(at: position, reason: reason)
    }

    private mutating func take(_ frame: RawFrame) -> Item {
        position = frame.offset + frame.length
        isAtEnd = frame.header.kind == .commit
        return .frame(frame)
    }

    private var reason: String { sides.lazy.compactMap(\.reason).first ?? "ends early" }

    /// One of the files: where its walk is.
    private struct Side {
        private let file: RawFile
        private let seed: UInt32
        private var walk: FrameWalk
        /// The next whole one.
        private(set) var frame: RawFrame?
        /// What was wrong before it.
        private(set) var reason: String?

        /// What a read that fails leaves out.
        private static let unreadable = 4096

        init(_ file: RawFile, seed: UInt32) {
            self.file = file
            self.seed = seed
            walk = FrameWalk(file, segment: file.segment(nil), seed: seed)
        }

        /// Goes on to the first whole frame at a position or behind it.
        mutating func advance(to position: Int) {
            if let frame, frame.offset >= position { return }
            frame = nil
            reason = nil
            while frame == nil {
                let item: FrameWalk.Item?
                do throws(FileError) { item = try walk.next() } catch {
                    reason = "\(error)"
                    let next = walk.position + Self.unreadable
                    walk = FrameWalk(file, from: next, segment: file.segment(nil), seed: seed)
                    if next >= file.size { return }
                    continue
                }
                switch item {
                case nil: return
                case .gap(let gap): reason = gap.reason
                case .frame(let next) where next.offset < position: continue
                case .frame(let next):
                    if next.isIntact { frame = next } else { reason = "wrong checksum of a frame's body" }
                }
            }
        }
    }
}
