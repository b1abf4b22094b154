// SPDX-License-Identifier: Apache-2.0

/// The frames of a file from front to back, whatever stands between them: where no valid frame header is, it goes on
/// to the next one. It takes a window of the file and, when it is asked for it, one frame of memory.
package struct FrameWalk {
    package enum Item {
        case frame(RawFrame)
        /// Bytes that are no frame.
        case gap(Gap)
    }

    /// As ``Item``, with the frame's body left where it is: see ``withStored(_:)``.
    enum Step {
        case frame(FrameHeader)
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
    /// Frames that begin here or behind are another walk's.
    private let limit: Int
    /// Where the next item begins.
    package private(set) var position: Int
    /// What was read of the file last: the first `filled` bytes of the window, which is used again.
    private var window: [UInt8] = []
    private var filled = 0
    private var windowStart = 0
    /// The stored body of the last frame, in the window.
    private var stored = 0..<0

    /// - Parameters:
    ///   - segment: the low bits of the number that the frames must have.
    ///   - end: what is behind it is not looked at.
    ///   - limit: where it stops: a frame that begins before is given whole.
    init(
        _ file: RawFile, from start: Int = FileHeader.size, to end: Int? = nil, limit: Int? = nil, segment: UInt32,
        seed: UInt32
    ) {
        self.file = file
        self.segment = segment
        self.seed = seed
        self.end = min(end ?? file.size, file.size)
        self.limit = min(limit ?? .max, self.end)
        // Whoever says where to start may say anything.
        position = (min(start, file.size) + 7) & ~7
    }

    /// The next frame or gap; nil at the end.
    package mutating func next() throws(FileError) -> Item? {
        switch try step() {
        case nil: nil
        case .gap(let gap): .gap(gap)
        case .frame(let header):
            .frame(RawFrame(header: header, stored: withStored { Array($0) }, seed: seed))
        }
    }

    /// The next frame or gap, without a copy of the frame.
    mutating func step() throws(FileError) -> Step? {
        guard position < limit else { return nil }
        if let header = try header(at: position) {
            let start = position + FrameHeader.size
            try fill(start..<(start + header.storedLength))
            let place = start - windowStart
            if place + header.storedLength <= filled {
                stored = place..<(place + header.storedLength)
                position += header.totalLength
                return .frame(header)
            }
        }
        return .gap(try skip())
    }

    /// How far the frames behind a place say that the file was on disk when they were written. Their headers alone say
    /// so, wherever they stand: a frame need not be whole, as ``SegmentScan`` has it, too.
    func durableLength(behind offset: Int) throws(FileError) -> UInt64 {
        var ahead = self
        ahead.position = (offset + 8) & ~7
        var length: UInt64 = 0
        var isZeros = true
        while ahead.position <= ahead.limit - FrameHeader.size {
            if let header = try ahead.anyHeader(at: ahead.position) { length = max(length, header.durableUpTo) }
            ahead.position += 8
            ahead.passOtherBytes(&isZeros)
        }
        return length
    }

    /// The stored body of the frame that the last step gave.
    func withStored<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try window.withUnsafeBytesThrowing { (window) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: window[stored]))
        }
    }

    /// The valid header of a frame that lies in the file with its padding.
    private mutating func header(at offset: Int) throws(FileError) -> FrameHeader? {
        guard offset <= end - FrameHeader.size, let header = try anyHeader(at: offset) else { return nil }
        return header.totalLength <= end - offset ? header : nil
    }

    private mutating func anyHeader(at offset: Int) throws(FileError) -> FrameHeader? {
        try fill(offset..<(offset + FrameHeader.size))
        return window.withUnsafeBytes { window in
            let place = offset - windowStart
            guard place <= filled - FrameHeader.size else { return nil }
            return FrameHeader(
                detached: UnsafeRawBufferPointer(rebasing: window[place..<(place + FrameHeader.size)]),
                offset: UInt64(offset), segment: segment, seed: seed)
        }
    }

    /// Goes on to the next valid frame, or to the end.
    private mutating func skip() throws(FileError) -> Gap {
        let start = position
        var isZeros = true
        let reason = try reason(at: start)
        while position < limit {
            isZeros = try isZero(position..<min(position + 8, end)) && isZeros
            position = min(position + 8, limit)
            try fill(position..<min(position + FrameHeader.size, end))
            if position < end, windowStart + filled <= position {
                // The file was cut short meanwhile.
                position = limit
                break
            }
            passOtherBytes(&isZeros)
            if position < limit, try header(at: position) != nil { break }
        }
        return Gap(range: start..<position, isZeros: isZeros, reason: reason)
    }

    /// Goes on in the window to the next place where a frame may begin.
    private mutating func passOtherBytes(_ isZeros: inout Bool) {
        let magic = FrameHeader.magic.littleEndian
        let stop = min(limit, windowStart + filled - 7)
        var bits: UInt64 = 0
        window.withUnsafeBytes { window in
            while position < stop {
                let place = position - windowStart
                if window.loadUnaligned(fromByteOffset: place, as: UInt32.self) == magic { return }
                bits |= window.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                position += 8
            }
        }
        if bits != 0 { isZeros = false }
    }

    private mutating func reason(at offset: Int) throws(FileError) -> String {
        guard end - offset >= FrameHeader.size else { return "fewer bytes than a frame header has" }
        if try anyHeader(at: offset) != nil { return "a frame that passes the end of the file" }
        return try isZero(offset..<(offset + 8)) ? "zeros" : "no valid frame header"
    }

    private mutating func isZero(_ range: Range<Int>) throws(FileError) -> Bool {
        try fill(range)
        let place = (range.lowerBound - windowStart)..<(range.upperBound - windowStart)
        return window[place.clamped(to: 0..<filled)].allSatisfy { $0 == 0 }
    }

    /// Moves the window so that it holds the range, as far as the file does.
    private mutating func fill(_ range: Range<Int>) throws(FileError) {
        if range.lowerBound >= windowStart, range.upperBound <= windowStart + filled { return }
        if windowStart + filled >= file.size, range.lowerBound >= windowStart, filled > 0 { return }
        let count = max(0, min(max(Self.windowBytes, range.count), file.size - range.lowerBound))
        filled = 0
        windowStart = range.lowerBound
        if window.count < count { window.resize(to: count) }
        filled = try file.read(into: &window, count: count, at: windowStart)
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
