// SPDX-License-Identifier: Apache-2.0
import CQuernKernels
import Testing

@Suite("Kernels: the checksum of frames and blocks (S5, S9)")
struct ChecksumTests {
    @Test("CRC32C gives the published values", arguments: KnownChecksum.all)
    func knownValues(known: KnownChecksum) {
        #expect(checksum(known.bytes) == known.crc)
        #expect(portableChecksum(known.bytes) == known.crc)
    }

    @Test("The implementation in use has a name from the list")
    func implementationName() {
        #expect(["sse4.2", "armv8", "portable"].contains(String(cString: quern_crc32c_implementation())))
    }

    @Test("An empty input leaves the CRC as it was, also without an address")
    func emptyInput() {
        #expect(quern_crc32c(0, nil, 0) == 0)
        #expect(quern_crc32c(0xE306_9283, nil, 0) == 0xE306_9283)
        #expect(quern_crc32c_portable(0xE306_9283, nil, 0) == 0xE306_9283)
    }

    @Test("Hardware and tables agree on every length to 300 and around the lanes' borders")
    func hardwareEqualsPortable() {
        let bytes = pseudorandomBytes(count: 20_000, seed: 1)
        // Three lanes of 128 and of 2,048 bytes are taken at a time.
        let borders = [384, 768, 6_144, 6_528, 12_288, 18_432].flatMap { $0 - 9...$0 + 9 }
        for length in Array(0...300) + borders {
            let part = bytes[..<length]
            #expect(checksum(part, from: 7) == portableChecksum(part, from: 7), "length \(length)")
        }
    }

    @Test("Hardware and tables agree at every alignment of long inputs")
    func everyAlignment() {
        let bytes = pseudorandomBytes(count: 70_000, seed: 2)
        var random = SplitMix64(seed: 3)
        for alignment in 0..<64 {
            let part = bytes[alignment..<Int.random(in: 30_000...bytes.count, using: &random)]
            #expect(checksum(part) == portableChecksum(part), "alignment \(alignment), \(part.count) bytes")
        }
    }

    @Test("A CRC continued over parts equals the CRC of the whole, wherever it is cut")
    func continuedEqualsWhole() {
        let bytes = pseudorandomBytes(count: 16_384, seed: 4)
        let whole = checksum(bytes)
        for cut in Array(0...70) + Array(stride(from: 71, to: bytes.count, by: 251)) {
            let (head, tail) = (bytes[..<cut], bytes[cut...])
            #expect(checksum(tail, from: checksum(head)) == whole, "cut at \(cut)")
            #expect(portableChecksum(tail, from: portableChecksum(head)) == whole, "cut at \(cut)")
        }
    }

    @Test("Each flipped bit changes the CRC")
    func flippedBits() {
        var bytes = pseudorandomBytes(count: 700, seed: 5)
        let intact = checksum(bytes)
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(checksum(bytes) != intact, "bit \(bit)")
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }

    @Test("Many threads may compute checksums at once, from the first call on")
    func concurrentUse() async {
        let bytes = pseudorandomBytes(count: 4_096, seed: 6)
        let expected = portableChecksum(bytes)
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<2_000 { #expect(checksum(bytes) == expected) }
                }
            }
        }
    }
}

@Suite("Kernels: the byte shuffle of equal memos (S9)")
struct ShuffleTests {
    @Test("Shuffled bytes lie in planes, and unshuffling brings the records back", arguments: 1...64)
    func everySmallCount(width: Int) {
        for count in 0...70 { expectShuffle(width: width, count: count) }
    }

    @Test("So they do for large counts of any width, wherever they lie in memory")
    func largeCounts() {
        var random = SplitMix64(seed: 7)
        for width in [1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 31, 32, 63, 64] {
            for count in [71, 127, 128, 255, 256, 257, Int.random(in: 258...1000, using: &random)] {
                expectShuffle(width: width, count: count)
            }
        }
    }

    @Test("No record, or records without bytes, touch nothing")
    func nothingToDo() {
        for (count, width) in [(0, 24), (5, 0)] {
            #expect(quern_varying_planes(nil, count, width) == 0)
            quern_shuffle(nil, nil, count, width, 0)
            quern_unshuffle(nil, nil, count, width, 0)
        }
    }

    /// Compares with the definition, for records of which no byte, some bytes and all bytes are alike.
    private func expectShuffle(width: Int, count: Int) {
        let seed = UInt64(width * 100_000 + count)
        var records = pseudorandomBytes(count: width * count, seed: seed)
        var random = SplitMix64(seed: seed)
        for varying in [UInt64.max, random.next(), 0] {
            for place in records.indices where varying >> UInt64(place % width) & 1 == 0 {
                records[place] = records[place % width]
            }
            expectPlanes(of: records, width: width, count: count)
        }
    }

    /// Also looks at the bytes around the target.
    private func expectPlanes(of records: [UInt8], width: Int, count: Int) {
        var varying: UInt64 = 0
        var planes: [UInt8] = []
        if count > 0 {
            for column in 0..<width {
                let plane = (0..<count).map { records[$0 * width + column] }
                let isConstant = plane.allSatisfy { $0 == plane[0] }
                if !isConstant { varying |= 1 << UInt64(column) }
                planes += isConstant ? plane.prefix(1) : plane[...]
            }
        }
        let place = "\(count) records of \(width)"
        #expect(quern_varying_planes(records, count, width) == varying, "\(place)")
        for offset in [0, 1, 5] {
            let shuffled = guarded(records, planes.count, offset) { quern_shuffle($0, $1, count, width, varying) }
            #expect(shuffled == planes, "\(place)")
            let back = guarded(planes, records.count, offset) { quern_unshuffle($0, $1, count, width, varying) }
            #expect(back == records, "\(place)")
        }
    }

    /// What `kernel` writes from and to places so far from alignment, after a look at the bytes on each side that it
    /// must leave alone.
    private func guarded(
        _ source: [UInt8], _ size: Int, _ offset: Int,
        _ kernel: (UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt8>?) -> Void
    ) -> [UInt8] {
        let margin = [UInt8](repeating: 0xA5, count: 32 + offset)
        let input = margin + source
        var target = margin + [UInt8](repeating: 0, count: size) + margin
        input.withUnsafeBufferPointer { input in
            target.withUnsafeMutableBufferPointer { output in
                kernel(
                    input.baseAddress.map { $0 + margin.count }, output.baseAddress.map { $0 + margin.count })
            }
        }
        #expect(target.prefix(margin.count) == margin[...])
        #expect(target.suffix(margin.count) == margin[...])
        return Array(target.dropFirst(margin.count).dropLast(margin.count))
    }
}

/// An input whose CRC32C is published: four from RFC 3720, B.4, and the check value of the catalogues.
struct KnownChecksum: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let crc: UInt32

    static let all = [
        KnownChecksum(testDescription: "nothing", bytes: [], crc: 0),
        KnownChecksum(testDescription: "32 zero bytes", bytes: Array(repeating: 0, count: 32), crc: 0x8A91_36AA),
        KnownChecksum(testDescription: "32 bytes of ones", bytes: Array(repeating: 0xFF, count: 32), crc: 0x62A8_AB43),
        KnownChecksum(testDescription: "32 ascending bytes", bytes: Array(0..<32), crc: 0x46DD_794E),
        KnownChecksum(testDescription: "32 descending bytes", bytes: (0..<32).reversed(), crc: 0x113F_DB5C),
        KnownChecksum(testDescription: "123456789", bytes: Array("123456789".utf8), crc: 0xE306_9283),
    ]
}

private func checksum(_ bytes: some Collection<UInt8>, from crc: UInt32 = 0) -> UInt32 {
    bytes.withContiguousStorageIfAvailable { quern_crc32c(crc, $0.baseAddress, $0.count) }
        ?? checksum(Array(bytes), from: crc)
}

private func portableChecksum(_ bytes: some Collection<UInt8>, from crc: UInt32 = 0) -> UInt32 {
    bytes.withContiguousStorageIfAvailable { quern_crc32c_portable(crc, $0.baseAddress, $0.count) }
        ?? portableChecksum(Array(bytes), from: crc)
}

private func pseudorandomBytes(count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

/// A generator with a seed, so that a failure replays.
private struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
