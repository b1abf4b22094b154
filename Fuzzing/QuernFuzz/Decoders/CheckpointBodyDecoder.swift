// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// Records of a checkpoint in frames that are right. The first byte says where they are split, and how they are read.
enum CheckpointBodyDecoder: FuzzDecoder {
    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let body = Array(bytes.dropFirst())
        let (file, checksum) = framed(body, cut: first == 0 ? nil : Int(first) * body.count / 256)
        if let checkpoint = try? CheckpointRewriting.decoded(file, checksum: checksum) {
            CheckpointRewriting.check(checkpoint.state, checkpoint.position)
        }
        // Makes up to 65,536 names for those that are lost, which takes long: not of all bytes.
        if first % 8 == 7 { decodePartly(body) }
    }

    /// As the repair does: each record by itself, and those that are damaged left out.
    private static func decodePartly(_ body: [UInt8]) {
        var decoder = CheckpointDecoder()
        decoder.isPartial = true
        try? body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
            try LogRecord.forEach(in: body) { kind, _, fields in try? decoder.apply(kind, fields) }
        }
        if let position = decoder.position { try? decoder.check(position) }
    }

    private static func framed(_ body: [UInt8], cut: Int?) -> (file: [UInt8], checksum: UInt32) {
        let identity = CheckpointRewriting.identity
        var writer = ByteWriter()
        writer.append(
            contentsOf: FileHeader(
                kind: .checkpoint, number: CheckpointRewriting.number, identity: identity, epoch: 1
            ).encoded())
        var encoder = FrameEncoder(
            identity: identity, segment: UInt32(truncatingIfNeeded: CheckpointRewriting.number),
            position: UInt64(FileHeader.size), checksum: 0)
        var scratch = ByteWriter()
        body.withUnsafeBytes { body in
            if let cut {
                encoder.append(
                    .state, body: UnsafeRawBufferPointer(rebasing: body[..<cut]), compress: false, scratch: &scratch,
                    to: &writer)
            }
            encoder.append(
                .commit, body: UnsafeRawBufferPointer(rebasing: body[(cut ?? 0)...]), compress: false,
                scratch: &scratch, to: &writer)
        }
        return (writer.bytes, encoder.checksum)
    }

    static func seeds(_ golden: GoldenFiles) throws -> [[UInt8]] {
        var seeds: [[UInt8]] = []
        for file in golden.files where file.header.kind == .checkpoint {
            let body = file.frames.flatMap(\.body)
            seeds.append([0] + body)
            // Record by record behind the base and the labels, so that short ones are there of each kind.
            var base: [UInt8] = []
            try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try LogRecord.forEach(in: bytes) { (kind, start, fields) throws(DecodingFailure) in
                    let end = start + LogRecord.prefixSize + fields.count
                    if kind == CheckpointRecord.base.rawValue || kind == LogRecord.Kind.define.rawValue {
                        base += body[start..<end]
                    } else {
                        for first in [0, 7] as [UInt8] { seeds.append([first] + base + body[start..<end]) }
                    }
                }
            }
        }
        return seeds
    }
}
