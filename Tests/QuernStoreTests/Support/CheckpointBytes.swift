// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

extension CheckpointDecoder {
    /// Decodes a checkpoint that is in memory.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, header: FileHeader, checksum: UInt32
    ) throws(DecodingFailure) -> Checkpoint {
        let frames = CheckpointFrames(
            size: bytes.count, segment: UInt32(truncatingIfNeeded: header.number), seed: header.identity.seed
        ) { count, offset in Array(bytes[offset..<(offset + count)]) }
        do throws(CheckpointFrames.Failure) { return try decode(frames, checksum: checksum) } catch {
            switch error {
            case .file(let error): throw DecodingFailure("\(error)")
            case .damaged(let reason, _): throw DecodingFailure(reason)
            }
        }
    }
}
