// SPDX-License-Identifier: Apache-2.0

/// Whether a writer has numbers left to go on with.
enum GivenNumbersCheck {
    static func run(_ context: VerifyContext) {
        let store = context.store
        // What is missing of it was told.
        guard let manifest = store.manifest, let base = store.base else { return }
        let logs = store.raw.files(.log)
        let given = GivenNumbers(
            manifest: manifest,
            epoch: logs.lazy.filter { $0.number >= UInt64(base.position.segment) }
                .compactMap { try? $0.header.get().epoch }.max() ?? 0,
            state: store.state, newestLog: UInt32(clamping: logs.last?.number ?? 0),
            nextIndex: base.nextIndexNumber)
        guard let reason = given.exhaustion else { return }
        context.damage(StoreFiles.manifestName, reason, "a writer refuses the store; all else is read")
    }
}
