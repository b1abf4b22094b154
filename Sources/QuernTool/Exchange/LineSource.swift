// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The lines of a file, one in memory at a time.
struct LineSource {
    /// A memo and an attachment of the largest size as Base64, and what is beside them.
    static let longestLine = 48 << 20
    private static let pieceBytes = 1 << 20

    /// Fills a buffer with what comes next, and returns how much; 0 at the end.
    private let read: (UnsafeMutableRawBufferPointer) throws -> Int
    private var buffer: [UInt8] = []
    /// Room for a read.
    private var zeros: [UInt8] = []
    private var start = 0
    /// Bytes behind ``start`` in which there is no end of a line.
    private var searched = 0
    private var isAtEnd = false
    /// The number of the line that was given last, from 1.
    private(set) var line = 0

    init(_ read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) { self.read = read }

    /// Gives the next line, without its end; false when there is none.
    ///
    /// - Parameter body: gets the bytes and the line's number.
    mutating func next(_ body: (UnsafeRawBufferPointer, Int) throws -> Void) throws -> Bool {
        while true {
            let end = endOfLine
            if let end {
                defer {
                    start = end + 1
                    searched = 0
                }
                line += 1
                try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<end]), line) }
                return true
            }
            searched = buffer.count - start
            guard searched <= Self.longestLine else {
                throw ImportFailure(line: line + 1, reason: "longer than \(Self.longestLine) bytes")
            }
            if isAtEnd {
                if searched == 0 { return false }
                // The end of the last line is missing, and maybe more of it.
                throw ImportFailure(line: line + 1, reason: "is cut short")
            }
            try fill()
        }
    }

    private var endOfLine: Int? {
        buffer.withUnsafeBytes { bytes in
            let place = start + searched
            guard place < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + place, 0x0A, bytes.count - place)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private mutating func fill() throws {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        let count = buffer.count
        if zeros.isEmpty { zeros = [UInt8](repeating: 0, count: Self.pieceBytes) }
        buffer.append(contentsOf: zeros)
        let found = try buffer.withUnsafeMutableBytes { bytes in
            try read(UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
        }
        buffer.removeLast(Self.pieceBytes - found)
        isAtEnd = found == 0
    }
}
