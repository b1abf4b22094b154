// SPDX-License-Identifier: Apache-2.0

/// Ended children in the log before a checkpoint. The index has them all, unless it is damaged.
struct LogRowSurvey {
    /// In the order of the log.
    private(set) var sources: [RowSource] = []

    private let raw: RawStore
    private var block = ChildBlock()
    private var scratch: [UInt8] = []
    /// Of the batch whose commit frame is still to come.
    private var pending: [RowSource] = []

    /// - Parameters:
    ///   - position: where the checkpoint stands; nil for none of the log, when all of it is replayed.
    ///   - isWanted: which parents' children at which positions.
    init(
        of raw: RawStore, before position: LogPosition?, where isWanted: (TaskID, ClosedRange<UInt64>) -> Bool
    ) throws(FileError) {
        self.raw = raw
        guard let position else { return }
        let logs = raw.files(.log).filter { $0.number <= UInt64(position.segment) }
        for (index, file) in logs.enumerated() {
            var end = file.number == UInt64(position.segment) ? Int(clamping: position.offset) : file.size
            if index + 1 < logs.count, logs[index + 1].number == file.number + 1,
                let successor = try? logs[index + 1].checkedHeader(of: raw.identity)
            {
                end = min(end, Int(clamping: successor.previousLength))
            }
            try read(file, to: end, where: isWanted)
        }
    }

    private mutating func read(
        _ file: RawFile, to end: Int, where isWanted: (TaskID, ClosedRange<UInt64>) -> Bool
    ) throws(FileError) {
        let segment = UInt32(truncatingIfNeeded: file.number)
        var walk = FrameWalk(file, to: end, segment: segment, seed: raw.identity.seed)
        pending = []
        while let item = try walk.next() {
            guard case .frame(let frame) = item, frame.header.kind == .commit || frame.header.kind == .part else {
                pending = []
                continue
            }
            // What cannot be decoded holds nothing that could be taken.
            guard let body = try? frame.body() else {
                pending = []
                continue
            }
            try? body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try LogRecord.forEach(in: bytes) { (kind, offset, fields) throws(DecodingFailure) in
                    guard kind == LogRecord.Kind.outcomes.rawValue else { return }
                    try OutcomeBlockReader.decode(fields, columns: .facts, scratch: &scratch, into: &block)
                    guard let first = block.rows.first?.outcome.sequence, first <= block.lastSequence,
                        isWanted(block.parent, first...block.lastSequence)
                    else { return }
                    let place = LogPlace(
                        segment: segment, frameOffset: frame.header.offset, recordOffset: UInt32(offset))
                    let entry = DirectoryEntry(
                        block: block.outcomeBlock(), offset: 0, length: 0, bodyOffset: 0, bodyLength: 0)
                    pending.append(RowSource(entry, inLogAt: place))
                }
            }
            guard frame.header.kind == .commit else { continue }
            sources += pending
            pending = []
        }
    }
}
