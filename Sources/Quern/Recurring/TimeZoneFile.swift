// SPDX-License-Identifier: Apache-2.0

struct TimeZoneFileError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Reads a TZif file (RFC 9636) front to back. Every length is checked before it is believed.
struct TimeZoneFile {
    struct Header {
        var version: Int
        var utcCount: Int
        var standardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var characterCount: Int

        func size(timeSize: Int) -> Int {
            timeCount * timeSize + timeCount + typeCount * 6 + sizeBehindTypes(timeSize: timeSize)
        }

        func sizeBehindTypes(timeSize: Int) -> Int {
            characterCount + leapCount * (timeSize + 4) + standardCount + utcCount
        }
    }

    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func take(_ count: Int) throws(TimeZoneFileError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - offset else { throw TimeZoneFileError("it ends early") }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    mutating func skip(_ count: Int) throws(TimeZoneFileError) { _ = try take(count) }

    mutating func bigEndian32() throws(TimeZoneFileError) -> Int32 {
        Int32(bitPattern: try take(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    mutating func times(_ count: Int, size: Int) throws(TimeZoneFileError) -> [Int64] {
        let bytes = try take(count * size)
        return (0..<count).map { index in
            let start = bytes.startIndex + index * size
            let number = bytes[start..<(start + size)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return size == 8 ? Int64(bitPattern: number) : Int64(Int32(truncatingIfNeeded: number))
        }
    }

    mutating func header() throws(TimeZoneFileError) -> Header {
        guard try take(4).elementsEqual("TZif".utf8) else { throw TimeZoneFileError("it is no time zone file") }
        let version = Int(try take(1).first ?? 0)
        try skip(15)
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = Int(try bigEndian32())
            guard (0...100_000).contains(count) else { throw TimeZoneFileError("it counts \(count) of something") }
            counts.append(count)
        }
        return Header(
            version: version == 0 ? 1 : version - 0x30, utcCount: counts[0], standardCount: counts[1],
            leapCount: counts[2], timeCount: counts[3], typeCount: counts[4], characterCount: counts[5])
    }

    /// The line at the end: a rule as in the TZ variable.
    mutating func footer() throws(TimeZoneFileError) -> String {
        let rest = try take(bytes.count - offset)
        guard rest.first == 0x0A, rest.last == 0x0A, rest.count >= 2 else { throw TimeZoneFileError("it ends early") }
        return String(decoding: rest.dropFirst().dropLast(), as: UTF8.self)
    }
}
