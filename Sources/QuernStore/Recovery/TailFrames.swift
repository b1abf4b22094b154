// SPDX-License-Identifier: Apache-2.0

/// The frames of the tail that the scan found good, in order, checked and decoded.
struct TailFrames: Sendable {
    struct Frame: Sendable {
        var body: [UInt8]
        var offset: Int
        /// The place of its segment in the tail.
        var tail: Int
        var isCommit: Bool
        var durableUpTo: UInt64
    }

    private let tails: [StoreLoader.Tail]
    private var tail = 0
    private var offset: Int

    init(_ tails: [StoreLoader.Tail]) {
        self.tails = tails
        offset = tails.first.map { Int($0.start.offset) } ?? 0
    }

    mutating func next() throws(StoreError) -> Frame? {
        while tail < tails.count, offset >= Int(tails[tail].scan.end.offset) {
            tail += 1
            if tail < tails.count { offset = Int(tails[tail].start.offset) }
        }
        guard tail < tails.count else { return nil }
        let segment = tails[tail]
        defer { withExtendedLifetime(segment.mapping) {} }
        let bytes = segment.mapping.bytes
        let seed = segment.header.identity.seed
        do throws(DecodingFailure) {
            guard let header = FrameHeader(bytes, at: offset, segment: segment.number, seed: seed),
                let stored = header.body(in: bytes, seed: seed)
            else { throw DecodingFailure("a frame changed while it was read") }
            let frame = Frame(
                body: try header.decoded(stored), offset: offset, tail: tail, isCommit: header.kind == .commit,
                durableUpTo: header.durableUpTo)
            offset += header.totalLength
            return frame
        } catch { throw StoreError(.damaged, error.reason, file: segment.path, offset: offset) }
    }

    /// The next frames, some 256 KiB of them; empty at the end.
    mutating func nextGroup() throws(StoreError) -> [Frame] {
        var frames: [Frame] = []
        var bytes = 0
        while bytes < 256 << 10, let frame = try next() {
            bytes += frame.body.count
            frames.append(frame)
        }
        return frames
    }
}
