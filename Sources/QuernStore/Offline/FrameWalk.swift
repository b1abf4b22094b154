// SPDX-License-Identifier: Apache-2.0

/// The frames of a file from front to back, whatever stands between them: where no valid frame header is, it goes on
/// to the next one. It takes a window of the file and one frame of memory.
package struct FrameWalk {
    package enum Item {
        case frame(RawFrame)
        /// Bytes that are no frame.
        case gap(Gap)
    }

    package struct Gap: Sendable, Equatable {
        package var range: Range<Int>
        /// Whether they are all zeros.
        package var isZeros: Bool
        package var reason: String
    }

    private static let windowBytes = 1 << 20

    private let file: RawFile
    private let segment: UInt32
    private let seed: UInt32
    private let end: Int
    /// Where the next item begins.
    package private(set) var position: Int
    private var window: [UInt8] = []
    private var windowStart = 0

    /// - Parameters:
    ///   - segment: the low bits of the number that the frames must have.
    ///   - end: what is behind it is not looked at.
    init(_ file: RawFile, from start: Int = FileHeader.size, to end: Int? = nil, segment: UInt32, seed: UInt32) {
        self.file = file
        self.segment = segment
        self.seed = seed
        self.end = min(end ?? file.size, file.size)
        position = start
    }

    /// The next frame or gap; nil at the end.
    package mutating func next() throws(FileError) -> Item? {
        guard position < end else { return nil }
        if let frame = try frame(at: position) {
            position += min(frame.header.totalLength, end - position)
            return .frame(frame)
        }
        let start = position
        let reason = try reason(at: start)
        var zeros = true
        repeat {
            if zeros { zeros = try isZero(position..<min(position + 8, end)) }
            position = min(position + 8, end)
        } while try !isEndOrHeader(at: position)
        return .gap(Gap(range: start..<position, isZeros: zeros, reason: reason))
    }

    /// Nil where no header is, or its frame passes the end of the file.
    private mutating func frame(at offset: Int) throws(FileError) -> RawFrame? {
        guard let header = try header(at: offset) else { return nil }
        guard header.storedLength <= end - offset - FrameHeader.size else { return nil }
        let start = offset + FrameHeader.size
        let stored = try bytes(start..<(start + header.storedLength))
        guard stored.count == header.storedLength else { return nil }
        return RawFrame(header: header, stored: stored, seed: seed)
    }

    private mutating func header(at offset: Int) throws(FileError) -> FrameHeader? {
        try fill(offset..<(offset + FrameHeader.size))
        return window.withUnsafeBytes { window in
            let place = offset - windowStart
            guard place <= window.count - FrameHeader.size else { return nil }
            return FrameHeader(
                detached: UnsafeRawBufferPointer(rebasing: window[place..<(place + FrameHeader.size)]),
                offset: UInt64(offset), segment: segment, seed: seed)
        }
    }

    /// Whether a gap ends here: at a frame that lies in the file, or with the file.
    private mutating func isEndOrHeader(at offset: Int) throws(FileError) -> Bool {
        if offset >= end { return true }
        guard let header = try header(at: offset) else { return false }
        return header.storedLength <= end - offset - FrameHeader.size
    }

    private mutating func reason(at offset: Int) throws(FileError) -> String {
        guard end - offset >= FrameHeader.size else { return "fewer bytes than a frame header has" }
        if try header(at: offset) != nil { return "a frame that passes the end of the file" }
        return try isZero(offset..<(offset + 8)) ? "zeros" : "no valid frame header"
    }

    private mutating func isZero(_ range: Range<Int>) throws(FileError) -> Bool {
        try fill(range)
        let place = (range.lowerBound - windowStart)..<(range.upperBound - windowStart)
        return window[place.clamped(to: window.indices)].allSatisfy { $0 == 0 }
    }

    private mutating func bytes(_ range: Range<Int>) throws(FileError) -> [UInt8] {
        if range.count > Self.windowBytes / 2 { return try file.read(range) }
        try fill(range)
        let place = (range.lowerBound - windowStart)..<(range.upperBound - windowStart)
        return Array(window[place.clamped(to: window.indices)])
    }

    /// Moves the window so that it holds the range, as far as the file does.
    private mutating func fill(_ range: Range<Int>) throws(FileError) {
        if range.lowerBound >= windowStart, range.upperBound <= windowStart + window.count { return }
        if windowStart + window.count >= file.size, range.lowerBound >= windowStart, !window.isEmpty { return }
        windowStart = range.lowerBound
        window = try file.read(windowStart..<(windowStart + max(Self.windowBytes, range.count)))
    }
}

/// A frame with a valid header.
package struct RawFrame: Sendable {
    let header: FrameHeader
    /// The body as it is in the file.
    let stored: [UInt8]
    /// Whether the body has its checksum.
    package let isIntact: Bool

    init(header: FrameHeader, stored: [UInt8], seed: UInt32) {
        self.header = header
        self.stored = stored
        isIntact = stored.withUnsafeBytes { Checksum.crc32c($0, seed: seed) } == header.bodyChecksum
    }

    package var offset: Int { Int(header.offset) }
    /// With header and padding.
    package var length: Int { header.totalLength }

    /// The decoded body of an intact frame.
    func body() throws(DecodingFailure) -> [UInt8] {
        guard isIntact else { throw DecodingFailure("wrong checksum of a frame's body") }
        if header.codec == .raw { return stored }
        return try stored.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in try header.decoded(bytes) }
    }
}
