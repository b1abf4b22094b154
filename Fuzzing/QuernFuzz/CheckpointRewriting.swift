// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// A state that was accepted, written as a checkpoint and read again: what a writer goes on with it must be able to
/// open another time.
enum CheckpointRewriting {
    static let number: UInt64 = 1
    static let identity = StoreIdentity(high: 1, low: 2)

    static func encoded(_ state: StoreState, _ position: LogPosition) -> (bytes: [UInt8], checksum: UInt32)? {
        let file = MemoryFile()
        var encoder = CheckpointEncoder(identity: identity, number: number)
        let header = FileHeader(kind: .checkpoint, number: number, identity: identity, epoch: 1)
        header.encoded().withUnsafeBytes { file.write($0, at: 0) }
        guard (try? encoder.encode(state: state, index: MemoIndex(), position: position, to: file)) != nil else {
            return nil
        }
        return (file.bytes, encoder.checksum)
    }

    static func decoded(_ bytes: [UInt8], checksum: UInt32) throws(CheckpointFrames.Failure) -> Checkpoint {
        let frames = CheckpointFrames(
            size: bytes.count, segment: UInt32(truncatingIfNeeded: number), seed: identity.seed
        ) { count, offset in Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)]) }
        return try CheckpointDecoder.decode(frames, checksum: checksum)
    }

    static func check(_ state: StoreState, _ position: LogPosition) {
        guard let written = encoded(state, position) else { return }
        do throws(CheckpointFrames.Failure) {
            let again = try decoded(written.bytes, checksum: written.checksum)
            let twice = encoded(again.state, position)
            expect(twice?.bytes == written.bytes, "a state and what is read of its checkpoint")
        } catch { expect(false, "a state that was accepted, and its checkpoint: \(error)") }
    }
}
