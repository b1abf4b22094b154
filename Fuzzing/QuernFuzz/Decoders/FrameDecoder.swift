// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// A log segment behind its file header: frames with right checksums, or what is left of them.
///
/// The first byte says what is made right.
enum FrameDecoder: FuzzDecoder {
    private static let identity = StoreIdentity(high: 1, low: 2)
    private static let number: UInt32 = 1

    private struct Choice {
        let bits: UInt8
        var correctsAll: Bool { bits & 1 == 0 }
        var continuesChain: Bool { bits & 2 == 0 }
        var hasSuccessor: Bool { bits & 4 != 0 }
    }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let choice = Choice(bits: first)
        let header = FileHeader(kind: .log, number: UInt64(number), identity: identity, epoch: 1)
        var file = header.encoded() + Array(bytes.dropFirst())
        if choice.correctsAll { correct(&file, choice.continuesChain) }
        let start = LogPosition(segment: number, offset: UInt64(FileHeader.size), checksum: 0)
        let scan = file.withUnsafeBytes {
            try? SegmentScan.scan(
                $0, from: start, knownEnd: choice.hasSuccessor ? UInt64(file.count) : nil, seed: identity.seed)
        }
        if let scan { expect(scan.end.offset <= UInt64(file.count + 7) & ~7, "the end of a log and its file's") }
        walk(file, upTo: scan?.end.offset)
    }

    private static func correct(_ file: inout [UInt8], _ continuesChain: Bool) {
        var offset = FileHeader.size
        var previous: UInt32 = 0
        while let frame = Checksums.correct(
            frameIn: &file, at: offset, seed: identity.seed, segment: number,
            previous: continuesChain ? previous : nil)
        {
            previous = frame.checksum
            offset = frame.next
        }
    }

    /// Reads what the offline tools read, which must have all frames up to where the log ends for the others.
    private static func walk(_ file: [UInt8], upTo end: UInt64?) {
        let disk = SimulatedFileSystem()
        let name = StoreFiles.name(.log, UInt64(number))
        guard (try? disk.place(file, at: FilePath("/store").appending(name))) != nil,
            let raw = try? RawFile(name, in: "/store", disk)
        else { return }
        var walk = FrameWalk(raw, segment: number, seed: identity.seed)
        var good = UInt64(FileHeader.size)
        while let item = try? walk.next() {
            guard case .frame(let frame) = item else { continue }
            if frame.header.offset == good, frame.isIntact { good += UInt64(frame.length) }
            let again = encoded(frame.header)
            let isSame = file[frame.offset..<(frame.offset + FrameHeader.size)].elementsEqual(again)
            expect(isSame, "a frame header and what is written of it")
            guard let body = try? frame.body() else { continue }
            expect(body.count == frame.header.rawLength, "a body and its length")
        }
        if let end { expect(end <= good, "the end of the log and the frames before it") }
    }

    private static func encoded(_ header: FrameHeader) -> [UInt8] {
        var copy = header
        var writer = ByteWriter()
        copy.appendHeader(seed: identity.seed, to: &writer)
        return writer.bytes
    }

    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        golden.files.filter { $0.header.kind == .log }.flatMap { file in
            [[0, 2, 4] as [UInt8], [1]].joined().map { [$0] + file.bytes.dropFirst(FileHeader.size).prefix(4096) }
        }
    }
}
