// SPDX-License-Identifier: Apache-2.0

/// The mirror of a checkpoint that is whole has the same frames.
enum MirrorCheck {
    static func run(_ context: VerifyContext) {
        let store = context.store
        guard let file = store.checkpointFile, file.kind == .checkpoint else { return }
        guard let mirror = store.raw.file(.mirror, file.number) else {
            let name = StoreFiles.name(.mirror, file.number)
            return context.note(name, "is not there", "the checkpoint is all that tells what is live")
        }
        // Where the checkpoint is damaged, the mirror was read and told of.
        if store.findings.contains(where: { $0.file == file.name }) { return }
        do throws(OfflineFailure) {
            do throws(DecodingFailure) { _ = try mirror.checkedHeader(of: store.identity) } catch {
                throw .decoding(error.reason)
            }
            guard mirror.size == file.size else {
                throw .decoding("\(mirror.size) bytes, and the checkpoint has \(file.size)")
            }
            try compare(mirror, with: file, seed: store.identity.seed)
        } catch {
            context.report(
                StoreFinding(
                    .spared, mirror.name, error.reason, "the checkpoint itself is whole; a writer makes both anew"))
        }
    }

    private static func compare(_ mirror: RawFile, with file: RawFile, seed: UInt32) throws(OfflineFailure) {
        let segment = UInt32(truncatingIfNeeded: file.number)
        var ours = FrameWalk(file, segment: segment, seed: seed)
        var theirs = FrameWalk(mirror, segment: segment, seed: seed)
        while true {
            let (left, right): (FrameWalk.Item?, FrameWalk.Item?)
            do throws(FileError) { (left, right) = (try ours.next(), try theirs.next()) } catch { throw .file(error) }
            switch (left, right) {
            case (.frame(let left), .frame(let right)) where right.isIntact && left.header == right.header: continue
            case (nil, nil): return
            default: throw .decoding("not as the checkpoint is, before byte \(theirs.position)")
            }
        }
    }
}
