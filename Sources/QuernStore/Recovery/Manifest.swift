// SPDX-License-Identifier: Apache-2.0

/// The one small file that says which checkpoint counts. It is replaced in one step (S7, F18).
struct Manifest: Equatable {
    /// How often a manifest was written: its file header's number.
    var generation: UInt64
    var identity: StoreIdentity
    /// The opening that wrote it.
    var epoch: UInt64
    var checkpointNumber: UInt64
    /// The header checksum of the checkpoint's last frame.
    var checkpointChecksum: UInt32
    /// Whether the store was closed in order, with nothing in the log behind the checkpoint.
    var isClean: Bool
    /// The newest log segment that may hold a batch: without it the store is damaged (F13).
    var newestLog: UInt32

    var header: FileHeader { FileHeader(kind: .manifest, number: generation, identity: identity, epoch: epoch) }

    /// The one frame behind the header.
    func encodedFrame() -> [UInt8] {
        var body = ByteWriter()
        body.append(littleEndian: checkpointNumber)
        body.append(littleEndian: checkpointChecksum)
        body.append(isClean ? 1 : 0)
        body.append(zeros: 3)
        body.append(littleEndian: newestLog)
        body.append(zeros: 4)
        var encoder = FrameEncoder(
            identity: identity, segment: UInt32(truncatingIfNeeded: generation), position: UInt64(FileHeader.size),
            checksum: 0)
        var output = ByteWriter()
        var scratch = ByteWriter()
        _ = body.bytes.withUnsafeBytes {
            encoder.append(.manifest, body: $0, compress: false, scratch: &scratch, to: &output)
        }
        return output.bytes
    }

    init(
        _ bytes: UnsafeRawBufferPointer, for purpose: FileHeader.Purpose = .writing
    ) throws(FileHeader.Failure) {
        let header = try FileHeader(bytes, for: purpose)
        guard header.kind == .manifest else { throw .notAStore("the manifest is another file's content") }
        let seed = header.identity.seed
        guard
            let frame = FrameHeader(
                bytes, at: FileHeader.size, segment: UInt32(truncatingIfNeeded: header.number), seed: seed),
            frame.kind == .manifest, frame.codec == .raw, let body = frame.body(in: bytes, seed: seed)
        else { throw .damaged("the manifest's frame is not valid") }
        var reader = ByteReader(body)
        do throws(DecodingFailure) {
            generation = header.number
            identity = header.identity
            epoch = header.epoch
            checkpointNumber = try reader.littleEndian()
            checkpointChecksum = try reader.littleEndian()
            let state = try reader.byte()
            guard state <= 1, try reader.take(3).allSatisfy({ $0 == 0 }) else {
                throw DecodingFailure("reserved bytes")
            }
            isClean = state == 1
            newestLog = try reader.littleEndian()
            guard try reader.take(4).allSatisfy({ $0 == 0 }), reader.isAtEnd else {
                throw DecodingFailure("reserved bytes")
            }
        } catch { throw .damaged(error.reason) }
        guard checkpointNumber <= Limits.number else { throw .damaged("number of a checkpoint") }
    }

    init(
        generation: UInt64, identity: StoreIdentity, epoch: UInt64, checkpointNumber: UInt64,
        checkpointChecksum: UInt32, isClean: Bool, newestLog: UInt32
    ) {
        self.generation = generation
        self.identity = identity
        self.epoch = epoch
        self.checkpointNumber = checkpointNumber
        self.checkpointChecksum = checkpointChecksum
        self.isClean = isClean
        self.newestLog = newestLog
    }
}
