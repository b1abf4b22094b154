// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a checkpoint or a mirror, so that a writer refuses it.
struct CheckpointProblem {
    var offset: Int?
    var reason: String

    private init(_ reason: String, at offset: Int? = nil) {
        self.offset = offset
        self.reason = reason
    }

    /// Nil when nothing is.
    ///
    /// - Parameter checksum: that of the manifest; nil when that is not known.
    init?(of file: RawFile, _ identity: StoreIdentity, checksum: UInt32?) {
        do throws(DecodingFailure) { _ = try file.checkedHeader(of: identity) } catch {
            self.init(error.reason, at: 0)
            return
        }
        let frames = CheckpointFrames(size: file.size, segment: file.segment(nil), seed: identity.seed) {
            (count, offset) throws(FileError) in try file.read(offset..<(offset + count))
        }
        do throws(CheckpointFrames.Failure) { try frames.forEach(checksum: checksum) { _ in } } catch {
            switch error {
            case .file(let error): self.init("cannot be read: \(error.errno)")
            case .damaged(let reason, let offset): self.init(reason, at: offset)
            }
            return
        }
        return nil
    }
}
