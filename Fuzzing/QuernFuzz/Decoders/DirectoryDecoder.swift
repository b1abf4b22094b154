// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// Entries of a sealed index segment, in a directory frame that is right, behind the blocks of a golden segment. The
/// first byte says of which.
enum DirectoryDecoder: FuzzDecoder {
    private struct Segment {
        var blocks: [UInt8]
        var identity: StoreIdentity
        var number: UInt32
        var lastChecksum: UInt32
    }

    private static let directory: FilePath = "/store"

    private static let segments: [Segment] =
        ((try? GoldenFiles(["closed", "random"]))?.files ?? []).filter { $0.header.kind == .index && isSmall($0) }
        .map { file in
            let blocks = file.frames.prefix { $0.header.kind != .directory }
            let end = blocks.last.map { Int($0.header.offset) + $0.header.totalLength } ?? FileHeader.size
            return Segment(
                blocks: Array(file.bytes[..<end]), identity: file.header.identity,
                number: UInt32(truncatingIfNeeded: file.header.number),
                lastChecksum: blocks.last?.header.checksum ?? 0)
        }

    private static func isSmall(_ file: GoldenFiles.File) -> Bool { file.bytes.count < 30_000 }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let segment = segments[Int(first) % segments.count]
        let body = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let (disk, offset) = placed(segment, body)
        let count = (body.count + (first >= 128 ? DirectoryEntry.size - 1 : 0)) / DirectoryEntry.size
        let files = StoreFiles(
            directory: directory, fileSystem: disk, identity: segment.identity, epoch: 1, lock: nil)
        let online = SealedIndexSegment(
            number: segment.number, directoryOffset: offset, entryCount: count, tier: 0, in: files)
        guard let raw = try? RawFile(StoreFiles.name(.index, UInt64(segment.number)), in: directory, disk) else {
            return
        }
        let offline = try? IndexDirectory(
            raw, directoryOffset: offset, count: count, seed: segment.identity.seed)
        read(online, offline, of: entries(body), segment, raw)
        // The same in the place of those that a checkpoint has of an open segment.
        let memory = OpenDirectory(entries(body))
        for entry in entries(body) { _ = memory.entries(of: TaskID(entry.parent)) }
    }

    private static func placed(
        _ segment: Segment, _ body: UnsafeRawBufferPointer
    ) -> (disk: SimulatedFileSystem, directoryOffset: UInt64) {
        var encoder = FrameEncoder(
            identity: segment.identity, segment: segment.number, position: UInt64(segment.blocks.count),
            checksum: segment.lastChecksum)
        var (writer, scratch) = (ByteWriter(), ByteWriter())
        encoder.append(.directory, body: body, compress: false, scratch: &scratch, to: &writer)
        let disk = SimulatedFileSystem()
        let name = StoreFiles.name(.index, UInt64(segment.number))
        try? disk.place(segment.blocks + writer.bytes, at: directory.appending(name))
        return (disk, UInt64(segment.blocks.count))
    }

    private static func entries(_ body: UnsafeRawBufferPointer) -> [DirectoryEntry] {
        var reader = ByteReader(body)
        var entries: [DirectoryEntry] = []
        while let entry = try? DirectoryEntry(&reader) { entries.append(entry) }
        return entries
    }

    private static func read(
        _ online: SealedIndexSegment, _ offline: IndexDirectory?, of entries: [DirectoryEntry], _ segment: Segment,
        _ raw: RawFile
    ) {
        for parent in Set(entries.prefix(64).map(\.parent)).union([0]) {
            var found: [DirectoryEntry] = []
            let isRead = (try? online.forEachEntry(of: TaskID(parent)) { found.append($0) }) != nil
            if isRead, let offline { expect((try? offline.entries(of: TaskID(parent))) == found, "entries") }
            var scratch = BlockScratch()
            var others = OfflineScratch()
            for entry in found {
                var block = ChildBlock()
                let isWhole =
                    (try? BlockExtent(entry, in: online.file).read(
                        of: TaskID(parent), segment.identity, columns: .stored, scratch: &scratch, into: &block)) != nil
                if isWhole { BlockReading.readAll(block, .stored) }
                var other = ChildBlock()
                let isWholeToo =
                    (try? OfflineBlock(entry, in: raw).read(
                        of: TaskID(parent), seed: segment.identity.seed, columns: .stored, scratch: &others,
                        into: &other)) != nil
                if isWhole, isWholeToo { expect(block.outcomeBlock() == other.outcomeBlock(), "blocks of an entry") }
            }
        }
    }

    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        segments.indices.flatMap { index in
            golden.frames(.directory, of: .index).map { [UInt8(index)] + $0.body.prefix(DirectoryEntry.size * 12) }
        }
    }
}
