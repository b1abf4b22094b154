// SPDX-License-Identifier: Apache-2.0

/// The positions of a stage whose tasks are not spawned with its commit, because their keys are taken: 64 a word.
struct AbsentPositions: Sendable, Equatable {
    private var words: [UInt64: UInt64] = [:]

    var isEmpty: Bool { words.isEmpty }

    /// What they take in a record, in bytes.
    var encodedSize: Int { words.count * 16 }

    /// In order. O(count log count).
    var positions: [UInt64] {
        words.sorted { $0.key < $1.key }.flatMap { word, bits in
            (0..<64 as Range<UInt64>).lazy.filter { bits & (1 << $0) != 0 }.map { word * 64 + $0 }
        }
    }

    func contains(_ position: UInt64) -> Bool { (words[position / 64] ?? 0) & (1 << (position % 64)) != 0 }

    mutating func insert(_ position: UInt64) { words[position / 64, default: 0] |= 1 << (position % 64) }

    /// A bit for each of up to 64 positions from one on.
    func bits(from position: UInt64, count: UInt8) -> UInt64 {
        guard !words.isEmpty else { return 0 }
        let (word, shift) = (position / 64, position % 64)
        let bits = (words[word] ?? 0) >> shift | (words[word + 1] ?? 0) << (64 - shift)
        return count >= 64 ? bits : bits & (1 << UInt64(count) - 1)
    }

    func append(to writer: inout ByteWriter) {
        for (word, bits) in words.sorted(by: { $0.key < $1.key }) {
            writer.append(littleEndian: word)
            writer.append(littleEndian: bits)
        }
    }

    init() {}

    /// Reads what ``append(to:)`` wrote, to the end.
    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        while !reader.isAtEnd {
            let word: UInt64 = try reader.littleEndian()
            let bits: UInt64 = try reader.littleEndian()
            guard word < Limits.stagedTasks / 64, bits != 0, words.updateValue(bits, forKey: word) == nil else {
                throw DecodingFailure("absent tasks of a stage")
            }
        }
    }
}
