// SPDX-License-Identifier: Apache-2.0

/// Applies the log behind a checkpoint, batch by batch, and goes on behind damage with what still makes sense.
///
/// A segment ends where its successor says. In the last one the rule of ``TailDecision`` holds: what no later frame
/// vouches for was never acknowledged.
struct OfflineReplay {
    private let raw: RawStore
    private(set) var state: StoreState
    private(set) var findings: [StoreFinding] = []
    private(set) var tail: [TaskID: [OfflineBlock]] = [:]
    private(set) var end = LogPosition(segment: 0, offset: 0, checksum: 0)
    /// Behind the last whole batch.
    private(set) var committedEnd = LogPosition(segment: 0, offset: 0, checksum: 0)
    /// What is known to be missing, by the frames behind it.
    private(set) var gaps: [LogGap] = []
    /// Whether something is missing before this place, so that what follows may not fit.
    private(set) var hasGap = false
    /// Whether the state that it began with lacks something, so that records tell of what it should have known.
    private let isPartial: Bool
    /// Whether ended children are to be kept.
    private let keepsRows: Bool
    /// Where the last damage is that nothing behind it has told the extent of.
    private var openGap: (file: String, offset: Int)?
    private var misfits = 0
    private var scratch = OutcomeBlockScratch()
    /// The parts of a batch whose commit frame is still to come.
    private var parts: [RawFrame] = []

    init(_ raw: RawStore, state: StoreState, isPartial: Bool, keepsRows: Bool = true) {
        self.raw = raw
        self.state = state
        self.isPartial = isPartial
        self.keepsRows = keepsRows
    }

    private mutating func damage(_ file: String, at offset: Int? = nil, _ what: String, _ consequence: String) {
        findings.append(StoreFinding(.damage, file, at: offset, what, consequence))
    }

    /// - Parameters:
    ///   - position: where the checkpoint stands; nil to begin with the oldest segment that is there.
    ///   - newest: the segment that must be there, as the manifest says.
    mutating func run(from position: LogPosition?, newest: UInt32?) {
        let logs = raw.files(.log).filter { $0.number >= UInt64(position?.segment ?? 0) }
        if position == nil {
            hasGap = logs.first.map { (try? $0.header.get().previousLength) != 0 } ?? true
        }
        end = position ?? LogPosition(segment: 0, offset: 0, checksum: 0)
        var expected = UInt64(position?.segment ?? UInt32(clamping: logs.first?.number ?? 1))
        for (index, file) in logs.enumerated() {
            reportMissing(expected..<max(expected, file.number))
            expected = file.number + 1
            let isFirst = UInt64(position?.segment ?? 0) == file.number
            read(file, from: isFirst ? position : nil, successor: index + 1 < logs.count ? logs[index + 1] : nil)
        }
        reportMissing(expected..<max(expected, UInt64(newest ?? 0) + 1))
        if misfits > 0 {
            damage("", "\(misfits) records of the log do not fit what is known", "they follow something that is lost")
        }
    }

    /// A name may say any number: there may be more than anybody wants to read of one by one.
    private mutating func reportMissing(_ numbers: Range<UInt64>) {
        guard let first = numbers.first else { return }
        hasGap = true
        openGap = openGap ?? (StoreFiles.name(.log, first), 0)
        for number in numbers.prefix(Self.toldOneByOne) {
            damage(StoreFiles.name(.log, number), "is missing", "what was committed in it is lost")
        }
        let rest = numbers.dropFirst(Self.toldOneByOne)
        if let next = rest.first, let last = rest.last {
            damage(
                StoreFiles.name(.log, next), "is missing, and all up to \(StoreFiles.name(.log, last))",
                "what was committed in them is lost")
        }
    }

    private static let toldOneByOne = 16

    private mutating func read(_ file: RawFile, from start: LogPosition?, successor: RawFile?) {
        let header: FileHeader?
        do throws(DecodingFailure) { header = try file.checkedHeader(of: raw.identity) } catch {
            header = nil
            damage(
                file.name, at: 0, error.reason,
                file.consequence("a writer refuses the store; its batches are read all the same"))
        }
        if start == nil, let header, header.previousChecksum != end.checksum, !hasGap, end.segment > 0 {
            damage(file.name, at: 48, "continues another log than the segment before it", "batches may be missing")
            beginGap(file, at: 48)
        }
        end = LogPosition(
            segment: UInt32(truncatingIfNeeded: file.number), offset: start?.offset ?? UInt64(FileHeader.size),
            checksum: start?.checksum ?? header?.previousChecksum ?? end.checksum)
        let knownEnd = (try? successor?.checkedHeader(of: raw.identity))?.map { Int(clamping: $0.previousLength) }
        defer {
            // Behind all frames that are there: the next one closes the gap.
            if let knownEnd, knownEnd > file.size { beginGap(file, at: file.size) }
        }
        if let knownEnd, knownEnd > file.size {
            damage(file.name, at: file.size, "ends before byte \(knownEnd)", "what was committed there is lost")
        }
        if Int(clamping: end.offset) > min(knownEnd ?? .max, file.size) {
            damage(
                file.name, at: file.size, "ends before byte \(end.offset), where the checkpoint stands",
                "what was committed behind the checkpoint may be lost")
        }
        committedEnd = end
        var walk = FrameWalk(
            file, from: Int(clamping: end.offset), to: knownEnd, segment: end.segment, seed: raw.identity.seed)
        // Where no successor says where this segment ends, only what is vouched for was on disk.
        var durableUpTo = knownEnd.map { UInt64($0) }
        while let item = next(&walk, file) {
            switch item {
            case .frame(let frame) where frame.isIntact && frame.header.isOfLog:
                accept(frame, file)
            case .frame(let frame):
                durableUpTo = durableUpTo ?? vouched(behind: frame.offset, walk)
                guard frame.header.offset < durableUpTo ?? 0 else { return endTorn(file, frame.offset..<file.size) }
                lose(
                    file, at: frame.offset,
                    frame.isIntact ? "a frame that no log has" : "wrong checksum of a frame's body",
                    bytes: frame.length)
            case .gap(let gap):
                durableUpTo = durableUpTo ?? vouched(behind: gap.range.lowerBound, walk)
                guard gap.range.lowerBound < durableUpTo ?? 0 else {
                    if gap.isZeros, gap.range.upperBound >= file.size { return endTorn(file, nil) }
                    return endTorn(file, gap.range.lowerBound..<file.size)
                }
                lose(file, at: gap.range.lowerBound, gap.reason, bytes: gap.range.count)
            }
        }
        guard let first = parts.first else { return }
        if knownEnd == nil { endTorn(file, first.offset..<file.size) } else { dropParts(file) }
    }

    /// How far frames further on say that the file was on disk; what cannot be read says nothing.
    private func vouched(behind offset: Int, _ walk: FrameWalk) -> UInt64 {
        (try? walk.durableLength(behind: offset)) ?? 0
    }

    private mutating func next(_ walk: inout FrameWalk, _ file: RawFile) -> FrameWalk.Item? {
        do throws(FileError) { return try walk.next() } catch {
            lose(file, at: walk.position, "\(error)", bytes: 0)
            return nil
        }
    }

    /// Something is missing from here to where the next frame begins.
    private mutating func beginGap(_ file: RawFile, at offset: Int) {
        hasGap = true
        openGap = openGap ?? (file.name, offset)
    }

    private mutating func lose(_ file: RawFile, at offset: Int, _ what: String, bytes: Int) {
        beginGap(file, at: offset)
        damage(file.name, at: offset, what, "what was committed in these \(bytes) bytes is lost")
        dropParts(file)
    }

    private mutating func dropParts(_ file: RawFile) {
        guard let first = parts.first else { return }
        damage(file.name, at: first.offset, "a batch without its commit frame", "what it did is lost")
        parts = []
    }

    /// The log ends here; what lies behind was never acknowledged.
    private mutating func endTorn(_ file: RawFile, _ range: Range<Int>?) {
        parts = []
        guard let range, !range.isEmpty else { return }
        findings.append(
            StoreFinding(
                .torn, file.name, at: range.lowerBound, "\(range.count) bytes of a write that was cut short",
                "nobody was told that it is on disk"))
    }

    // MARK: Applying

    private mutating func accept(_ frame: RawFrame, _ file: RawFile) {
        if frame.header.previousChecksum != end.checksum {
            // Behind a gap the chain begins anew.
            if !hasGap {
                damage(file.name, at: frame.offset, "a frame that does not continue the one before", "batches are lost")
            }
            hasGap = true
            dropParts(file)
        }
        if parts.isEmpty { closeGap(frame.header) }
        end.offset = UInt64(frame.offset + frame.length)
        end.checksum = frame.header.checksum
        parts.append(frame)
        guard frame.header.kind == .commit else { return }
        committedEnd = end
        for part in parts { apply(part, file) }
        parts = []
        if let misfit = state.finishBatch(openLimit: .max), !hasGap {
            damage(file.name, at: frame.offset, "\(misfit) ended before its children", "these have no parent any more")
        }
        for block in state.fullBlocks { keep(block) }
        state.fullBlocks.removeAll(keepingCapacity: true)
    }

    /// The first frame behind damage says what the next id and position were: what is between is missing.
    private mutating func closeGap(_ header: FrameHeader) {
        guard hasGap, header.firstSequence <= Limits.writableNumber, header.firstID <= Limits.writableNumber else {
            return
        }
        if let place = openGap {
            gaps.append(
                LogGap(
                    file: place.file, offset: place.offset,
                    sequences: state.nextSequence..<max(state.nextSequence, header.firstSequence),
                    ids: state.nextID..<max(state.nextID, header.firstID)))
            openGap = nil
        }
        state.nextSequence = max(state.nextSequence, header.firstSequence)
        state.nextID = max(state.nextID, header.firstID)
    }

    /// Whether the log ends in damage, so that nobody can tell how much is missing.
    var endsInDamage: Bool { openGap != nil }

    private mutating func keep(_ block: OutcomeBlock) {
        guard keepsRows else { return }
        tail[block.parent, default: []].append(OfflineBlock(BlockExtent(encoding: block, scratch: &scratch)))
    }

    private mutating func apply(_ frame: RawFrame, _ file: RawFile) {
        var misfit: String?
        do throws(DecodingFailure) {
            let body = try frame.body()
            try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try LogRecord.forEach(in: bytes) { (kind, offset, fields) throws(DecodingFailure) in
                    do throws(DecodingFailure) {
                        try apply(kind, fields, at: offset, in: frame, file)
                    } catch {
                        misfits += 1
                        misfit = "record of kind \(kind) at \(offset): \(error.reason)"
                    }
                }
            }
        } catch { misfit = error.reason }
        if let misfit, !hasGap { damage(file.name, at: frame.offset, misfit, "the record is passed over") }
    }

    private mutating func apply(
        _ kind: UInt8, _ fields: UnsafeRawBufferPointer, at offset: Int, in frame: RawFrame, _ file: RawFile
    ) throws(DecodingFailure) {
        guard let kind = LogRecord.Kind(rawValue: kind) else { throw DecodingFailure("a kind that nobody knows") }
        let place = LogPlace(
            segment: UInt32(truncatingIfNeeded: file.number), frameOffset: frame.header.offset,
            recordOffset: UInt32(offset))
        var changes = ChangeCollector()
        if hasGap || isPartial, try state.salvage(kind, fields, at: place) { return }
        do throws(DecodingFailure) { try state.apply(kind, fields, at: place, changes: &changes) } catch {
            if kind == .outcomes { try keepStray(fields) }
            throw error
        }
    }

    /// Children of a parent of which nothing is known any more are children all the same.
    private mutating func keepStray(_ fields: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var block = ChildBlock()
        var buffer: [UInt8] = []
        try OutcomeBlockReader.decode(fields, columns: .stored, scratch: &buffer, into: &block)
        try block.checkNumbers()
        var rows = block.outcomeBlock()
        rows.root = state.parents.root(of: rows.parent) ?? rows.parent
        keep(rows)
        state.nextSequence = max(state.nextSequence, rows.rows[rows.rows.count - 1].sequence + 1)
    }
}

/// Commits that are missing in the log, between what is known before and behind them.
struct LogGap: Sendable, Equatable {
    var file: String
    var offset: Int
    /// Positions of outcomes that were committed in it.
    var sequences: Range<UInt64>
    /// Ids of tasks that were spawned in it.
    var ids: Range<UInt64>
}

extension FrameHeader {
    fileprivate var isOfLog: Bool { kind == .commit || kind == .part }
}
