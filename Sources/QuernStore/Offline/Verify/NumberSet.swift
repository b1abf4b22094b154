// SPDX-License-Identifier: Apache-2.0

/// Numbers, each of which is there once: a bit a number, in pieces of 4,096 of which one that is full takes nothing.
package struct NumberSet: Sendable {
    private static let pieceSize: UInt64 = 4096

    private struct Piece: Sendable {
        /// Empty when all bits are set.
        var words = [UInt64](repeating: 0, count: Int(pieceSize) / 64)
        var count: UInt64 = 0

        var isFull: Bool { count == pieceSize }

        func contains(_ place: Int) -> Bool { isFull || words[place / 64] & (1 << UInt64(place % 64)) != 0 }

        /// Returns whether a bit was set already.
        mutating func insert(_ mask: UInt64, ofWord word: Int) -> Bool {
            if isFull { return true }
            let old = words[word]
            words[word] = old | mask
            count += UInt64((mask & ~old).nonzeroBitCount)
            if isFull { words = [] }
            return old & mask != 0
        }
    }

    private var pieces: [UInt64: Piece] = [:]

    package init() {}

    package func contains(_ number: UInt64) -> Bool {
        pieces[number / Self.pieceSize]?.contains(Int(number % Self.pieceSize)) ?? false
    }

    /// Returns false when one of them was there already.
    package mutating func insert(_ numbers: ClosedRange<UInt64>) -> Bool {
        var isNew = true
        var next = numbers.lowerBound
        while next <= numbers.upperBound {
            let last = min(numbers.upperBound, next | 63)
            let ones = last - next == 63 ? UInt64.max : (1 << (last - next + 1)) - 1
            let word = Int(next % Self.pieceSize / 64)
            let isThere = pieces[next / Self.pieceSize, default: Piece()].insert(ones << (next % 64), ofWord: word)
            if isThere { isNew = false }
            next = last + 1
        }
        return isNew
    }

    /// Returns false when one of them was there already. Neighbours that are close to each other are fast.
    mutating func insert(_ numbers: [UInt64]) -> Bool {
        var isNew = true
        var index = 0
        while index < numbers.count {
            let key = numbers[index] / Self.pieceSize
            let rest = numbers[index...].prefix { $0 / Self.pieceSize == key }
            let isThere = Self.insert(rest, into: &pieces[key, default: Piece()])
            if isThere { isNew = false }
            index = rest.endIndex
        }
        return isNew
    }

    private static func insert(_ numbers: ArraySlice<UInt64>, into piece: inout Piece) -> Bool {
        var isThere = false
        for number in numbers {
            let place = Int(number % pieceSize)
            if piece.insert(1 << UInt64(place % 64), ofWord: place / 64) { isThere = true }
        }
        return isThere
    }
}
