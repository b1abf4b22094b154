// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

extension CheckpointEncoder {
    /// The file of a checkpoint of a state, with an empty index.
    static func file(of state: StoreState) throws -> (bytes: [UInt8], header: FileHeader, checksum: UInt32) {
        let identity = StoreIdentity(high: 1, low: 2)
        let disk = SimulatedFileSystem()
        let files = StoreFiles(directory: "/", fileSystem: disk, identity: identity, epoch: 1, lock: nil)
        let header = files.header(.checkpoint, number: 1)
        var encoder = CheckpointEncoder(identity: identity, number: 1)
        try files.put(header) { (file) throws(FileError) in
            try encoder.encode(
                state: state, index: MemoIndex(), position: LogPosition(segment: 1, offset: 128, checksum: 0), to: file)
        }
        return (try #require(disk.contents(files.path(.checkpoint, 1))), header, encoder.checksum)
    }
}

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
