// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

@Suite struct StableHashTests {
    private func hash(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
        bytes.withUnsafeBytes { StableHash.hash($0, seed: seed) }
    }

    /// Snapshots hold these values: when this test fails, the format has changed and needs a new version.
    @Test func valuesNeverChange() {
        let text = Array("the quick brown fox jumps over the lazy dog, twice".utf8)
        #expect(
            [0, 1, 3, 4, 8, 15, 16, 17, 32, 50].map { hash(Array(text.prefix($0)), seed: 9) } == Self.knownValues)
        #expect(StableHash.hash(1, 2, 3, seed: 4) == Self.knownTriple)
    }

    private static let knownValues: [UInt64] = [
        0x5843_B4A6_2940_6049, 0xF10C_BC67_4B61_2DD0, 0x4F0A_85C6_7D3F_76E4, 0x493A_8102_3975_925C,
        0x6D6A_2267_9B44_8964, 0xF91D_80C1_7C52_1A5E, 0xB8DF_5F33_7CA1_B88A, 0x24DA_E149_4AA6_93A5,
        0xB729_DD72_2409_7E3B, 0xE454_DC4C_6B70_7B56,
    ]
    private static let knownTriple: UInt64 = 0x48BC_7B36_C5B3_B696

    @Test func zerosOfEachLengthDiffer() {
        let hashes = Set((0...4096).map { hash([UInt8](repeating: 0, count: $0)) })
        #expect(hashes.count == 4097)
    }

    @Test func seedsAreIndependent() {
        let hashes = Set((0..<10_000).map { hash(Array("name".utf8), seed: $0) })
        #expect(hashes.count == 10_000)
    }

    /// Each byte of an input of each length counts, wherever it stands.
    @Test func everyByteCounts() {
        for count in 1...100 {
            var bytes = (0..<count).map { UInt8($0) }
            let before = hash(bytes)
            for position in 0..<count {
                bytes[position] ^= 1
                #expect(hash(bytes) != before, "length \(count), byte \(position)")
                bytes[position] ^= 1
            }
        }
    }

    /// Turning one bit of the input turns each bit of the hash in about half of all cases.
    @Test(arguments: [3, 4, 7, 8, 12, 16, 17, 31, 64])
    func oneBitTurnsHalfOfAll(length: Int) {
        var generator = SeededGenerator()
        let rounds = 2000
        var turned = [Int](repeating: 0, count: 64)
        for _ in 0..<rounds {
            var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let before = hash(bytes)
            let bit = Int.random(in: 0..<(8 * length), using: &generator)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let difference = before ^ hash(bytes)
            for position in 0..<64 where difference >> UInt64(position) & 1 == 1 { turned[position] += 1 }
        }
        // Eight standard deviations: 2 * sqrt(rounds) * 4.
        for count in turned { #expect(abs(2 * count - rounds) < 360, "\(generator), length \(length)") }
    }

    /// Names that look alike, as names in one directory do, share no hash, and fill the buckets evenly from both ends.
    @Test func similarNamesSpread() {
        let count = 200_000
        var hashes: Set<UInt64> = []
        var low = [Int](repeating: 0, count: 256)
        var high = low
        for number in 0..<count {
            let value = hash(Array("IMG_\(number).jpeg".utf8))
            hashes.insert(value)
            low[Int(value & 255)] += 1
            high[Int(value >> 56)] += 1
        }
        #expect(hashes.count == count)
        for bucket in low + high { #expect(abs(bucket - count / 256) < 225) }
    }

    @Test func numbersSpread() {
        var hashes: Set<UInt64> = []
        for first in 0..<40 as Range<UInt64> {
            for second in 0..<40 as Range<UInt64> {
                for third in 0..<40 as Range<UInt64> { hashes.insert(StableHash.hash(first, second, third)) }
            }
        }
        #expect(hashes.count == 64_000)
    }
}
