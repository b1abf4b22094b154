// SPDX-License-Identifier: Apache-2.0

/// A column of integers as a base and equally wide differences to it, byte plane by byte plane.
///
/// Layout: width (1 byte: 0, 1, 2, 4 or 8), base (8 bytes), then `width` planes of `count` bytes, lowest byte first.
/// A column of equal values has width 0 and no planes. Frame of reference with a byte shuffle: what columnar files
/// use where values are close to each other and LZ4 comes after.
enum IntegerColumn {
    static func encode(count: Int, into writer: inout ByteWriter, _ value: (Int) -> Int64) {
        var low = Int64.max
        var high = Int64.min
        for index in 0..<count {
            let next = value(index)
            low = min(low, next)
            high = max(high, next)
        }
        if count == 0 { (low, high) = (0, 0) }
        let range = UInt64(bitPattern: high &- low)
        let width =
            switch range {
            case 0: 0
            case ...0xFF: 1
            case ...0xFFFF: 2
            case ...0xFFFF_FFFF: 4
            default: 8
            }
        writer.append(UInt8(width))
        writer.append(littleEndian: low)
        if width == 0 { return }
        writer.append(upTo: count * width) { target in
            for plane in 0..<width {
                let shift = UInt64(plane * 8)
                let bytes = UnsafeMutableRawBufferPointer(rebasing: target[(plane * count)..<((plane + 1) * count)])
                for index in 0..<count {
                    bytes[index] = UInt8(truncatingIfNeeded: UInt64(bitPattern: value(index) &- low) >> shift)
                }
            }
            return count * width
        }
    }

    /// A column that stays where it is; its values are put together as they are asked for.
    struct View {
        let base: Int64
        let width: Int
        let count: Int
        let planes: UnsafeRawBufferPointer

        /// All values are equal.
        var isConstant: Bool { width == 0 }

        subscript(index: Int) -> Int64 {
            assert(index >= 0 && index < count)
            var difference: UInt64 = 0
            for plane in 0..<width {
                difference |= UInt64(planes[plane * count + index]) << UInt64(plane * 8)
            }
            return base &+ Int64(bitPattern: difference)
        }

        /// Calls `body` with each value in order; one loop a width, so that it is tight.
        @inline(__always)
        func visit(_ body: (Int, Int64) -> Void) {
            switch width {
            case 0: for index in 0..<count { body(index, base) }
            case 1: for index in 0..<count { body(index, base &+ Int64(planes[index])) }
            default: for index in 0..<count { body(index, self[index]) }
            }
        }

        /// Writes the values of some rows to `target`; one loop a width, so that it is tight.
        func load(_ rows: Range<Int>, into target: UnsafeMutablePointer<Int64>) {
            assert(rows.lowerBound >= 0 && rows.upperBound <= count)
            switch width {
            case 0:
                for place in 0..<rows.count { target[place] = base }
            case 1:
                let low = planes.baseAddress! + rows.lowerBound
                for place in 0..<rows.count {
                    target[place] = base &+ Int64(low.load(fromByteOffset: place, as: UInt8.self))
                }
            case 2:
                let low = planes.baseAddress! + rows.lowerBound
                for place in 0..<rows.count {
                    let difference =
                        UInt16(low.load(fromByteOffset: place, as: UInt8.self))
                        | UInt16(low.load(fromByteOffset: count + place, as: UInt8.self)) << 8
                    target[place] = base &+ Int64(difference)
                }
            default:
                for place in 0..<rows.count { target[place] = self[rows.lowerBound + place] }
            }
        }

        /// The sum of the values of some rows, wrapping.
        func sum(_ rows: Range<Int>) -> Int64 {
            guard width > 0 else { return base &* Int64(rows.count) }
            var sum: Int64 = base &* Int64(rows.count)
            for plane in 0..<width {
                let bytes = UnsafeRawBufferPointer(
                    rebasing: planes[(plane * count + rows.lowerBound)..<(plane * count + rows.upperBound)])
                var part: UInt64 = 0
                for byte in bytes { part &+= UInt64(byte) }
                sum &+= Int64(bitPattern: part << UInt64(plane * 8))
            }
            return sum
        }

        /// The first row from `start` on whose value is not that of row `reference`; `count` when there is none.
        func firstDifference(from start: Int, to reference: Int) -> Int {
            var first = count
            for plane in 0..<width {
                let bytes = UnsafeRawBufferPointer(rebasing: planes[(plane * count)..<((plane + 1) * count)])
                first = min(first, bytes.firstIndex(from: start, otherThan: bytes[reference]))
            }
            return first
        }

        /// The sum of all values, when each lies in `0...limit` and the sum does too.
        func total(limit: Int) throws(DecodingFailure) -> Int {
            if isConstant {
                guard base >= 0, base <= limit, count == 0 || base <= Int64(limit / count) else {
                    throw DecodingFailure("lengths above limit")
                }
                return Int(base) * count
            }
            if width <= 2, base >= 0, base <= limit {
                // Planes are bytes in memory, so that there are not enough values to overflow; none is above the sum.
                let sum = sum(0..<count)
                guard sum <= limit else { throw DecodingFailure("lengths above limit") }
                return Int(sum)
            }
            var sum = 0
            for index in 0..<count {
                let value = self[index]
                guard value >= 0, value <= limit, sum + Int(value) <= limit else {
                    throw DecodingFailure("lengths above limit")
                }
                sum += Int(value)
            }
            return sum
        }
    }

    /// Reads a column of equal values; nil when the next one is another.
    static func constant(from reader: inout ByteReader) throws(DecodingFailure) -> Int64? {
        guard try reader.byte() == 0 else { return nil }
        return try reader.littleEndian(Int64.self)
    }

    /// Reads a column of `count` values, checked to lie in the reader's bytes.
    static func decode(count: Int, from reader: inout ByteReader) throws(DecodingFailure) -> View {
        let width = Int(try reader.byte())
        guard [0, 1, 2, 4, 8].contains(width) else { throw DecodingFailure("column width \(width)") }
        let base: Int64 = try reader.littleEndian()
        let planes = try reader.take(count * width)
        return View(base: base, width: width, count: count, planes: planes)
    }
}

extension UnsafeRawBufferPointer {
    /// The first place from `start` on with another byte; `count` when there is none. Eight bytes at a time: what is
    /// looked for is rare.
    func firstIndex(from start: Int, otherThan byte: UInt8) -> Int {
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var index = start
        while index + 8 <= count {
            let word = UInt64(littleEndian: loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ pattern
            if word != 0 { return index + word.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < count, self[index] == byte { index += 1 }
        return Swift.min(index, count)
    }
}
