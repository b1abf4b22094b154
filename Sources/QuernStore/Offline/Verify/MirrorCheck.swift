// SPDX-License-Identifier: Apache-2.0

/// The mirror of a checkpoint that is whole has the same frames: it is whole, and ends with the same checksum.
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
        let checksum = store.manifest?.checkpointChecksum
        guard let problem = CheckpointProblem(of: mirror, store.identity, checksum: checksum) else { return }
        context.report(
            StoreFinding(
                .spared, mirror.name, at: problem.offset, problem.reason,
                "the checkpoint itself is whole; a writer makes both anew"))
    }
}
