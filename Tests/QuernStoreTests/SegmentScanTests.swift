// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A log segment in memory, made by the store's own encoder.
private struct SegmentImage {
    static let identity = StoreIdentity(high: 0x1234, low: 0x5678)
    static let number: UInt32 = 7
    static let start = LogPosition(segment: number, offset: UInt64(FileHeader.size), checksum: 99)

    var output = ByteWriter()
    var encoder = FrameEncoder(identity: identity, segment: number, position: start.offset, checksum: start.checksum)
    private var scratch = ByteWriter()

    init() {
        output.append(
            contentsOf: FileHeader(kind: .log, number: UInt64(Self.number), identity: Self.identity, epoch: 1).encoded()
        )
    }

    /// Appends a frame and returns where it is.
    @discardableResult
    mutating func add(
        _ kind: FrameHeader.Kind = .commit, body count: Int = 21, durableUpTo: Int = 0
    ) -> Range<Int> {
        let start = output.count
        let body = [UInt8](repeating: UInt8(truncatingIfNeeded: start), count: count)
        _ = body.withUnsafeBytes {
            encoder.append(
                kind, body: $0, compress: false, durableUpTo: UInt64(durableUpTo), scratch: &scratch, to: &output)
        }
        return start..<output.count
    }

    var position: LogPosition {
        LogPosition(segment: Self.number, offset: encoder.position, checksum: encoder.checksum)
    }

    static func scan(_ bytes: [UInt8], from start: LogPosition = start, knownEnd: Int? = nil) throws -> SegmentScan {
        try bytes.withUnsafeBytesThrowing { (bytes) throws(SegmentScan.Damage) in
            try SegmentScan.scan(
                bytes, from: start, knownEnd: knownEnd.map { UInt64($0) }, seed: identity.seed)
        }
    }

    static func damage(_ bytes: [UInt8], from start: LogPosition = start, knownEnd: Int? = nil) -> SegmentScan.Damage? {
        do {
            _ = try scan(bytes, from: start, knownEnd: knownEnd)
            return nil
        } catch { return error as? SegmentScan.Damage }
    }
}

/// Each row of the table in ``TailDecision``, with real bytes (S6, F11 to F14).
@Suite struct SegmentScanTests {
    @Test("S6: the table has an answer for every case, and it is the documented one")
    func table() {
        typealias Found = TailDecision.Found
        for isLast in [true, false] {
            for found in [Found.frame, .frameOfAnotherChain, .zeros, .otherBytes, .end] {
                for isVouchedFor in [true, false] {
                    let decision = TailDecision.decide(isLast: isLast, found: found, isVouchedFor: isVouchedFor)
                    let name: String
                    switch decision {
                    case .apply: name = "apply"
                    case .nextSegment: name = "next"
                    case .endOfLog(let torn): name = torn ? "torn" : "clean"
                    case .damaged: name = "damaged"
                    }
                    let expected =
                        switch (found, isLast) {
                        case (.frame, _): "apply"
                        case (.frameOfAnotherChain, _): "damaged"
                        case (.end, false): "next"
                        case (_, false): "damaged"
                        case (_, true) where isVouchedFor: "damaged"
                        case (.otherBytes, true): "torn"
                        case (_, true): "clean"
                        }
                    #expect(name == expected, "last \(isLast), \(found), vouched for \(isVouchedFor)")
                }
            }
        }
    }

    @Test("Rows valid and clean: all frames count, up to the end of the file or zeros", arguments: [0, 1, 8, 64, 5000])
    func clean(zeros: Int) throws {
        var image = SegmentImage()
        for size in [21, 0, 8, 700] { image.add(body: size) }
        let scan = try SegmentImage.scan(image.output.bytes + [UInt8](repeating: 0, count: zeros))
        #expect(scan == SegmentScan(end: image.position, frames: 4, tornBytes: 0))
    }

    @Test("Row torn: a last frame that was cut at any length is left out and reported")
    func tornAtAnyLength() throws {
        var image = SegmentImage()
        image.add()
        let end = image.position
        let last = image.add(body: 333)
        for cut in (last.lowerBound + 1)..<last.upperBound {
            let bytes = Array(image.output.bytes[..<cut])
            let scan = try SegmentImage.scan(bytes)
            // Zeros at the end may have been written ahead.
            let used = (bytes.lastIndex { $0 != 0 }! + 8) & ~7
            let expected = SegmentScan(end: end, frames: 1, tornBytes: min(used, cut) - last.lowerBound)
            #expect(scan == expected, "cut at \(cut)")
        }
    }

    @Test("Row torn: bytes that are no frame are left out, whatever they are", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func tornByGarbage(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var image = SegmentImage()
        image.add()
        let garbage = [1] + random.bytes(random.below(500))
        let scan = try SegmentImage.scan(image.output.bytes + garbage)
        #expect(scan == SegmentScan(end: image.position, frames: 1, tornBytes: garbage.count), "seed \(seed)")
    }

    @Test("Row torn: a later frame that reached the disk before an earlier one vouches for nothing unsynced")
    func laterFrameWithoutPromise() throws {
        var image = SegmentImage()
        image.add()
        let end = image.position
        let lost = image.add(durableUpTo: Int(end.offset))
        image.add(durableUpTo: Int(end.offset))
        for fill in [0, 0xA5] as [UInt8] {
            var bytes = image.output.bytes
            for place in lost { bytes[place] = fill }
            let scan = try SegmentImage.scan(bytes)
            #expect(scan == SegmentScan(end: end, frames: 1, tornBytes: bytes.count - lost.lowerBound) || fill == 0)
            #expect(scan.end == end && scan.frames == 1)
        }
    }

    @Test("Row lost: any change of a frame that a later frame knew to be on disk is damage at its place")
    func lostButVouchedFor() throws {
        var image = SegmentImage()
        image.add()
        let lost = image.add(body: 24)
        let other = image.add(durableUpTo: lost.lowerBound)
        image.add(durableUpTo: other.upperBound)
        for place in lost {
            var bytes = image.output.bytes
            bytes[place] ^= 0x10
            #expect(SegmentImage.damage(bytes)?.offset == lost.lowerBound, "byte \(place)")
        }
        var zeroed = image.output.bytes
        for place in lost { zeroed[place] = 0 }
        #expect(SegmentImage.damage(zeroed)?.offset == lost.lowerBound)
    }

    @Test("S5: parts count with their commit frame and not without it")
    func parts() throws {
        var image = SegmentImage()
        image.add()
        let before = image.position
        let parts = image.add(.part)
        image.add(.part)
        let withoutCommit = image.output.bytes
        #expect(
            try SegmentImage.scan(withoutCommit)
                == SegmentScan(end: before, frames: 1, tornBytes: withoutCommit.count - parts.lowerBound))
        #expect(
            SegmentImage.damage(withoutCommit, knownEnd: withoutCommit.count)?.reason
                == "a transaction without its commit frame")
        image.add(.commit, body: 0)
        #expect(try SegmentImage.scan(image.output.bytes) == SegmentScan(end: image.position, frames: 4, tornBytes: 0))
    }

    @Test("S5: a part in the middle that is torn takes its whole transaction along, and no earlier one")
    func tornPart() throws {
        var image = SegmentImage()
        image.add()
        let before = image.position
        image.add(.part)
        let torn = image.add(.part)
        image.add(.commit)
        var bytes = image.output.bytes
        bytes[torn.lowerBound + FrameHeader.size] ^= 1
        let scan = try SegmentImage.scan(bytes)
        #expect(scan == SegmentScan(end: before, frames: 1, tornBytes: bytes.count - Int(before.offset)))
    }

    @Test("Row misplaced: a valid frame that continues another chain is damage, in any segment")
    func wrongChain() throws {
        var image = SegmentImage()
        image.add()
        let end = image.position
        image.encoder = FrameEncoder(
            identity: SegmentImage.identity, segment: SegmentImage.number, position: end.offset,
            checksum: end.checksum ^ 1)
        image.add()
        #expect(SegmentImage.damage(image.output.bytes)?.offset == Int(end.offset))
        #expect(SegmentImage.damage(image.output.bytes, knownEnd: image.output.count)?.offset == Int(end.offset))
        let other = LogPosition(segment: SegmentImage.number, offset: UInt64(FileHeader.size), checksum: 98)
        #expect(SegmentImage.damage(image.output.bytes, from: other)?.offset == FileHeader.size)
    }

    @Test("Rows end and broken: a segment with a successor ends where that says, and nowhere else")
    func knownEnd() throws {
        var image = SegmentImage()
        image.add()
        image.add()
        let end = image.position
        let behind = image.add()
        let scan = try SegmentImage.scan(image.output.bytes, knownEnd: Int(end.offset))
        #expect(scan == SegmentScan(end: end, frames: 2, tornBytes: 0))
        let torn = Array(image.output.bytes[..<(behind.lowerBound + 30)])
        #expect(try SegmentImage.scan(torn, knownEnd: Int(end.offset)).end == end)
        #expect(SegmentImage.damage(torn, knownEnd: behind.lowerBound + 30)?.offset == behind.lowerBound)
        let zeros = Array(image.output.bytes[..<behind.lowerBound]) + [UInt8](repeating: 0, count: 80)
        #expect(SegmentImage.damage(zeros, knownEnd: zeros.count)?.offset == behind.lowerBound)
        #expect(SegmentImage.damage(image.output.bytes, knownEnd: Int(end.offset) - 8) != nil)
    }

    @Test("S6: a file shorter than what was known to be on disk is damage, at every shorter length")
    func shortened() {
        var image = SegmentImage()
        image.add()
        let end = image.position
        for length in 0..<image.output.count {
            let bytes = Array(image.output.bytes[..<length])
            #expect(SegmentImage.damage(bytes, from: end)?.offset == length)
            #expect(SegmentImage.damage(bytes, knownEnd: image.output.count)?.offset == length)
        }
    }

    @Test("F8: a frame of another store, segment or place is no frame")
    func foreignFrames() throws {
        var image = SegmentImage()
        image.add()
        let end = image.position
        let position = end.offset
        let foreign = [
            FrameEncoder(
                identity: StoreIdentity(high: 1, low: 2), segment: SegmentImage.number, position: position,
                checksum: end.checksum),
            FrameEncoder(
                identity: SegmentImage.identity, segment: SegmentImage.number + 1, position: position,
                checksum: end.checksum),
            FrameEncoder(
                identity: SegmentImage.identity, segment: SegmentImage.number, position: position + 8,
                checksum: end.checksum),
        ]
        for encoder in foreign {
            var other = image
            other.encoder = encoder
            let frame = other.add()
            let scan = try SegmentImage.scan(other.output.bytes)
            #expect(scan == SegmentScan(end: end, frames: 1, tornBytes: frame.count))
            #expect(SegmentImage.damage(other.output.bytes, knownEnd: other.output.count)?.offset == Int(end.offset))
        }
    }

    @Test(
        "S6: a frame kind of another file is no frame of a log",
        arguments: [
            FrameHeader.Kind.block, .directory, .state, .manifest,
        ])
    func foreignKinds(kind: FrameHeader.Kind) throws {
        var image = SegmentImage()
        image.add()
        let end = image.position
        let frame = image.add(kind)
        #expect(try SegmentImage.scan(image.output.bytes) == SegmentScan(end: end, frames: 1, tornBytes: frame.count))
    }
}
