// SPDX-License-Identifier: Apache-2.0

/// One log segment, before the checkpoint's position or behind it: what live tasks name in it is there as they name it.
/// Before the position nobody reads the rest; what is wrong there is worth a word. Behind it all was read before.
struct LogSegmentCheck: Sendable {
    /// What a live task, or one that waits for its stage, has in a frame.
    enum Need: Sendable {
        case run(LiveTasks.Run)
        case staged(SpawnRun, stage: UInt64)
        case slot(UInt8, of: TaskID, LogPlace)

        var frameOffset: UInt64 {
            switch self {
            case .run(let entry): entry.run.frameOffset
            case .staged(let run, _): run.frameOffset
            case .slot(_, _, let place): place.frameOffset
            }
        }

        var tasks: Int {
            switch self {
            case .run(let entry): entry.live.nonzeroBitCount
            case .staged(let run, _): Int(run.count)
            case .slot: 1
            }
        }
    }

    let number: UInt32
    /// By the offsets of their frames.
    private(set) var needs: [Need]
    private let context: VerifyContext
    private let file: RawFile?
    private let isTail: Bool
    private let start: Int
    private let end: Int
    /// The checksum that its first frame continues, and that of its last one, where they are known.
    private let firstChecksum: UInt32?
    private let lastChecksum: UInt32?

    init(_ number: UInt32, needs: [Need], isTail: Bool, _ context: VerifyContext) {
        self.number = number
        self.needs = needs.sorted { $0.frameOffset < $1.frameOffset }
        self.context = context
        self.isTail = isTail
        let store = context.store
        file = store.raw.file(.log, UInt64(number))
        let header = try? file?.header.get()
        let position = store.checkpointPosition.flatMap { $0.segment == number ? $0 : nil }
        if isTail, let position {
            (start, firstChecksum) = (Int(clamping: position.offset), position.checksum)
        } else {
            (start, firstChecksum) = (FileHeader.size, header?.previousChecksum)
        }
        let last: LogPosition?
        if !isTail, let position {
            last = position
        } else if isTail, store.logEnd.segment == number {
            last = store.logEnd
        } else {
            let successor = try? store.raw.file(.log, UInt64(number) + 1)?.checkedHeader(of: store.identity)
            last = successor.map {
                LogPosition(segment: number, offset: $0.previousLength, checksum: $0.previousChecksum)
            }
        }
        end = min(last.map { Int(clamping: $0.offset) } ?? .max, file?.size ?? 0)
        lastChecksum = last?.checksum
    }

    var bytes: Int { max(0, end - start) }
    private var name: String { StoreFiles.name(.log, UInt64(number)) }

    /// Checks the segment. Blocking.
    func run() {
        // That it is missing was told when the store was read.
        guard let file else { return }
        var next = needs.startIndex
        do throws(DecodingFailure) { _ = try file.checkedHeader(of: context.store.identity) } catch {
            report(needs[...], at: 0, error.reason)
        }
        var walk = FrameWalk(file, from: start, to: end, segment: number, seed: context.seed)
        var checksum = firstChecksum
        while let step = step(&walk) {
            let start: Int
            var problem: String?
            switch step {
            case .gap(let gap):
                start = gap.range.lowerBound
                // Without a successor nobody says where the segment ends.
                if lastChecksum == nil, gap.range.upperBound >= end {
                    context.advance(walk.position - start)
                    continue
                }
                problem = "\(gap.reason) in \(gap.range.count) bytes"
            case .frame(let header):
                start = Int(header.offset)
                if let checksum, checksum != header.previousChecksum { problem = "a frame of another chain" }
                if !walk.withStored({ Checksum.crc32c($0, seed: context.seed) == header.bodyChecksum }) {
                    problem = "wrong checksum of a frame's body"
                }
                checksum = header.checksum
            }
            let here = needs[next...].prefix { $0.frameOffset < UInt64(walk.position) }
            next = here.endIndex
            context.advance(walk.position - start)
            if let problem {
                checksum = nil
                report(here, at: start, problem)
            } else if case .frame(let header) = step {
                check(here, header, walk)
            }
        }
        if let lastChecksum, let checksum, checksum != lastChecksum {
            report(needs[next...], at: end, "ends in another frame than its successor continues")
        } else if next < needs.endIndex {
            report(needs[next...], at: Int(clamping: needs[next].frameOffset), "no valid frame")
        }
    }

    private func step(_ walk: inout FrameWalk) -> FrameWalk.Step? {
        do throws(FileError) { return try walk.step() } catch {
            context.damage(name, at: walk.position, "\(error)", "what is behind it is not read")
            return nil
        }
    }

    /// Tells what is lost with a place, which may be nothing.
    private func report(_ needs: ArraySlice<Need>, at offset: Int?, _ what: String) {
        var (payloads, slots, staged) = (0, 0, 0)
        for need in needs {
            switch need {
            case .run: payloads += need.tasks
            case .staged: staged += need.tasks
            case .slot: slots += 1
            }
        }
        var lost: [String] = []
        if payloads > 0 { lost.append("the payloads of \(payloads) live tasks") }
        if slots > 0 { lost.append("\(slots) slots of live tasks") }
        if lost.isEmpty, isTail { return }
        if lost.isEmpty {
            // A stage whose writer is gone is never committed.
            let rest = staged > 0 ? "\(staged) tasks that wait for their stage cannot be read" : "no live task needs it"
            context.note(name, at: offset, what, rest)
        } else {
            context.damage(name, at: offset, what, lost.joined(separator: " and ") + " are lost")
        }
    }

    // MARK: Records

    private func check(_ needs: ArraySlice<Need>, _ header: FrameHeader, _ walk: FrameWalk) {
        if needs.isEmpty { return }
        do throws(DecodingFailure) {
            let body = try walk.withStored { (stored) throws(DecodingFailure) in try header.decoded(stored) }
            for index in needs.indices {
                do throws(DecodingFailure) {
                    guard needs[index].frameOffset == header.offset else {
                        throw DecodingFailure("no frame begins at \(needs[index].frameOffset)")
                    }
                    try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                        try check(needs[index], in: bytes)
                    }
                } catch { report(needs[index...index], at: Int(header.offset), error.reason) }
            }
        } catch { report(needs, at: Int(header.offset), error.reason) }
    }

    private func check(_ need: Need, in body: UnsafeRawBufferPointer) throws(DecodingFailure) {
        switch need {
        case .run(let entry):
            let record = try SpawnRecord(of: entry.run, in: body)
            try check(record, entry.run)
            let kind = try LogRecord.record(in: body, at: Int(entry.run.recordOffset)).kind
            // One that was written once more leaves its attributes where they were.
            let attributes = context.store.state.attributes[entry.run.firstID]
            guard kind == .relocatedSpawn || record.attributes.elementsEqual(attributes) else {
                throw DecodingFailure("other attributes than the checkpoint has")
            }
        case .staged(let run, let stage): try checkStaged(run, of: stage, in: body)
        case .slot(let slot, let task, let place):
            let value = try LogRecord.kept(by: task, slot, in: body, at: Int(place.recordOffset))
            guard value.count == place.bytes else { throw DecodingFailure("\(value.count) bytes in a slot") }
        }
    }

    private func check(_ record: SpawnRecord, _ run: SpawnRun) throws(DecodingFailure) {
        guard record.payloads.count == run.payloadBytes, record.submittedAt == run.submittedAt.rawValue,
            record.label == run.label.rawValue, record.priority == run.priority
        else { throw DecodingFailure("another run than the checkpoint has") }
    }

    private func checkStaged(_ run: SpawnRun, of stage: UInt64, in body: UnsafeRawBufferPointer) throws(DecodingFailure)
    {
        let (kind, fields) = try LogRecord.record(in: body, at: Int(run.recordOffset))
        var reader = ByteReader(fields)
        guard kind == .stagedSpawn, try reader.littleEndian(UInt64.self) == stage else {
            throw DecodingFailure("a record of another stage")
        }
        let record = try SpawnRecord(of: run, in: body)
        guard record.firstID == run.firstID.rawValue else { throw DecodingFailure("another position in the stage") }
        try check(record, run)
        let staged = context.store.state.stages[stage]
        guard record.attributes.elementsEqual(staged?.attributes[run.firstID.rawValue] ?? []),
            try record.keys() == staged?.keys.run(at: run.firstID.rawValue)?.keys ?? []
        else { throw DecodingFailure("other attributes or keys than the checkpoint has") }
    }
}

extension LogSegmentCheck {
    /// The segments before the checkpoint's position that are there, and all that something live names.
    static func all(_ context: VerifyContext) -> [LogSegmentCheck] {
        guard let position = context.store.checkpointPosition else { return [] }
        let state = context.store.state
        var before: [UInt32: [Need]] = [:]
        var behind: [UInt32: [Need]] = [:]
        func add(_ need: Need, _ segment: UInt32) {
            if segment < position.segment || segment == position.segment && need.frameOffset < position.offset {
                before[segment, default: []].append(need)
            } else {
                behind[segment, default: []].append(need)
            }
        }
        for entry in state.live.runs where entry.live != 0 { add(.run(entry), entry.run.segment) }
        for (number, stage) in state.stages {
            for run in stage.runs { add(.staged(run, stage: number), run.segment) }
        }
        for (slot, task, place) in state.slots.all { add(.slot(slot, of: task, place), place.segment) }
        for file in context.store.raw.files(.log) where file.number <= UInt64(position.segment) {
            before[UInt32(truncatingIfNeeded: file.number), default: []] += []
        }
        return [(before, false), (behind, true)].flatMap { needs, isTail in
            needs.sorted { $0.key < $1.key }.map { LogSegmentCheck($0.key, needs: $0.value, isTail: isTail, context) }
        }
    }
}
