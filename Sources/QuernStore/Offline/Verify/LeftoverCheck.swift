// SPDX-License-Identifier: Apache-2.0

/// Files of the directory that do not count: nothing is wrong with them, but they take space.
enum LeftoverCheck {
    static func run(_ context: VerifyContext) {
        let store = context.store
        for name in store.raw.others where name != StoreFiles.lockName && name != StoreFiles.reserveName {
            if StoreFiles.isTemporary(name) {
                context.note(name, "was being written", "the next writer removes it")
            } else {
                context.note(name, "no file of a store", "it is ignored")
            }
        }
        guard let base = store.base, let checkpoint = store.checkpointFile else { return }
        let counting = Set(base.sealed.map { UInt64($0.number) } + [base.open.map { UInt64($0.number) } ?? 0])
        for file in store.raw.files {
            switch file.kind {
            case .checkpoint where file.number != checkpoint.number,
                .mirror where file.number != checkpoint.number,
                .index where !counting.contains(file.number):
                context.note(file.name, "does not count", "the next writer removes it")
            default: break
            }
        }
        for sealed in base.sealed {
            let end = SealedIndexSegment.length(
                directoryOffset: sealed.directoryOffset, entryCount: Int(sealed.entryCount))
            guard let file = store.raw.file(.index, UInt64(sealed.number)), file.size > end else { continue }
            context.note(
                file.name, at: end, "\(file.size - end) bytes behind the directory", "nobody reads them")
        }
        let manifestEnd = FileHeader.size + FrameHeader.size + 24
        if let file = store.raw.manifestFile, file.size > manifestEnd {
            context.note(
                file.name, at: manifestEnd, "\(file.size - manifestEnd) bytes behind the frame",
                "nobody reads them")
        }
    }
}
