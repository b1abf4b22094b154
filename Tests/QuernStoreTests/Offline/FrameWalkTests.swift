// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A walk over the frames of a file that says what stands between them (F7, F28, F35).
@Suite("Frames of a damaged file (F7, F28, F35)")
struct FrameWalkTests {
    private static let identity = StoreIdentity(high: 3, low: 4)
    private static let name = "log-0000000007"

    /// A file of frames with bodies of many lengths, and where each begins.
    private struct Sample {
        var bytes: [UInt8]
        var starts: [Int] = []
        var ends: [Int] { Array(starts.dropFirst()) + [bytes.count] }

        init(_ count: Int, large: Int = 300, seed: UInt64) {
            var random = SeededGenerator(seed: seed)
            var encoder = FrameEncoder(identity: identity, segment: 7, position: UInt64(FileHeader.size), checksum: 0)
            var output = ByteWriter()
            var scratch = ByteWriter()
            for _ in 0..<count {
                starts.append(Int(encoder.position))
                let body = random.bytes(random.below(large))
                _ = body.withUnsafeBytes {
                    encoder.append(.commit, body: $0, compress: random.coin(), scratch: &scratch, to: &output)
                }
            }
            bytes = FileHeader(kind: .log, number: 7, identity: identity, epoch: 1).encoded() + output.bytes
        }
    }

    /// The items of a walk in a few words.
    private func walk(
        _ bytes: [UInt8], from start: Int = FileHeader.size, to end: Int? = nil, limit: Int? = nil
    ) throws -> (intact: [Int], broken: [Int], gaps: [FrameWalk.Gap]) {
        let files = SimulatedFileSystem()
        try files.place(bytes, at: FilePath("/store").appending(Self.name))
        let file = try RawFile(Self.name, in: "/store", files)
        var walk = FrameWalk(
            file, from: start, to: end, limit: limit, segment: 7, seed: Self.identity.seed)
        var found: (intact: [Int], broken: [Int], gaps: [FrameWalk.Gap]) = ([], [], [])
        var position = start
        while let item = try walk.next() {
            switch item {
            case .frame(let frame) where frame.isIntact: found.intact.append(frame.offset)
            case .frame(let frame): found.broken.append(frame.offset)
            case .gap(let gap):
                #expect(gap.range.lowerBound == position && !gap.range.isEmpty)
                found.gaps.append(gap)
            }
            #expect(walk.position > position)
            position = walk.position
        }
        return found
    }

    @Test("F35: cut at any length, the frames before the cut are found and the rest is one gap")
    func cuts() throws {
        let sample = Sample(12, large: 90, seed: 1)
        for length in FileHeader.size...sample.bytes.count {
            let found = try walk(Array(sample.bytes[..<length]))
            let whole = zip(sample.starts, sample.ends).filter { $0.1 <= length }
            #expect(found.intact == whole.map(\.0), "cut at \(length)")
            #expect(found.broken.isEmpty)
            let rest = (whole.last?.1 ?? FileHeader.size)..<length
            #expect(found.gaps.map(\.range) == (rest.isEmpty ? [] : [rest]), "cut at \(length)")
        }
    }

    @Test("F35: behind any flipped byte all other frames are found")
    func flips() throws {
        let sample = Sample(12, large: 90, seed: 2)
        for place in FileHeader.size..<sample.bytes.count {
            var bytes = sample.bytes
            bytes[place] ^= 1 << UInt8(place % 8)
            let found = try walk(bytes)
            let hit = sample.starts.last { $0 <= place }!
            let others = sample.starts.filter { $0 != hit }
            #expect(found.intact == others || found.intact == sample.starts, "flip at \(place)")
            if found.intact == others {
                #expect(found.broken + found.gaps.map(\.range.lowerBound) == [hit], "flip at \(place)")
            }
        }
    }

    @Test(
        "F7: zeros are a gap that says so, and other bytes another, however long they are",
        arguments: [8, 4096, 3 << 20])
    func gaps(length: Int) throws {
        let sample = Sample(3, seed: 3)
        let cut = sample.starts[1]
        var random = SeededGenerator(seed: 4)
        for filler in [[UInt8](repeating: 0, count: length), random.bytes(length)] {
            let found = try walk(Array(sample.bytes[..<cut]) + filler)
            #expect(found.intact == [sample.starts[0]])
            #expect(found.gaps.map(\.range) == [cut..<(cut + length)])
            #expect(found.gaps.map(\.isZeros) == [filler.allSatisfy { $0 == 0 }])
        }
    }

    @Test("Frames are whole where a window of the file ends in them")
    func windows() throws {
        let sample = Sample(40, large: 400 << 10, seed: 5)
        #expect(sample.bytes.count > 3 << 20)
        #expect(try walk(sample.bytes).intact == sample.starts)
    }

    @Test("Walks over parts of a file find each frame once")
    func parts() throws {
        let sample = Sample(60, seed: 6)
        for size in [64, 200, 1000, 5000] {
            var intact: [Int] = []
            for start in stride(from: FileHeader.size, to: sample.bytes.count, by: size) {
                intact += try walk(sample.bytes, from: (start + 7) & ~7, limit: start + size).intact
            }
            #expect(intact == sample.starts, "parts of \(size)")
        }
    }

    @Test("F28: a file that is cut short under way is a gap to where it ended")
    func cutUnderWay() throws {
        let sample = Sample(30, large: 200 << 10, seed: 7)
        let files = SimulatedFileSystem()
        let path: FilePath = "/store/log-0000000007"
        try files.place(sample.bytes, at: path)
        let file = try RawFile(Self.name, in: "/store", files)
        var walk = FrameWalk(file, segment: 7, seed: Self.identity.seed)
        guard case .frame? = try walk.next() else { return #expect(Bool(false)) }
        try files.truncate(path, to: FileHeader.size)
        var items = 0
        while try walk.next() != nil { items += 1 }
        #expect(walk.position == sample.bytes.count)
        #expect(items > 0)
    }
}
