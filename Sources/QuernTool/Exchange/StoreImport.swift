// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tells a sink the store that lines of an exported one are about. Whatever the lines hold: what makes no store is an
/// ``ImportFailure`` that names the line.
///
/// Memory: a line, a run with its payloads, some hundred children, and two bits for each child.
struct StoreImport<Sink: StoreSink> {
    private static var rowsAtOnce: Int { 512 }
    private static var bytesAtOnce: Int { 64 << 10 }

    private var source: LineSource
    private var line = ExchangeLine()
    private var head: StoreHead?
    private var hasBegun = false
    private var run: (contents: LiveRunContents, line: Int)?
    private var rows = OutcomeBlock(parent: .none)
    private var rowLines: [Int] = []
    private var tasks: UInt64 = 0
    private var children: UInt64 = 0
    /// Of all children: nobody ends twice, nor two at one position.
    private var ids = NumberSet()
    private var sequences = NumberSet()
    private var hasEnded = false

    init(_ source: LineSource) { self.source = source }

    mutating func tell(_ sink: inout Sink) throws {
        var source = source
        while try source.next({ bytes, number in try take(bytes, number: number, &sink) }) {}
        guard hasEnded else { throw ImportFailure(line: source.line + 1, reason: "the end is missing") }
    }

    private mutating func take(_ bytes: UnsafeRawBufferPointer, number: Int, _ sink: inout Sink) throws {
        do throws(ExchangeLine.Malformed) {
            try line.parse(bytes)
        } catch { throw ImportFailure(line: number, reason: error.reason) }
        do {
            guard !hasEnded else { throw ExchangeLine.Malformed(reason: "something behind the end") }
            let type = try line.choice(.type, in: bytes, of: ExchangeType.all)
            guard (head == nil) == (type == .store) else {
                throw ExchangeLine.Malformed(reason: head == nil ? "no exported store" : "a second store")
            }
            try take(type, bytes, number: number, &sink)
        } catch let error as ExchangeLine.Malformed {
            throw ImportFailure(line: number, reason: error.reason)
        } catch let error as StoreError where error.code == .rejected {
            throw ImportFailure(line: number, reason: error.message)
        }
    }

    private mutating func take(
        _ type: ExchangeType, _ bytes: UnsafeRawBufferPointer, number: Int, _ sink: inout Sink
    ) throws {
        switch type {
        case .store, .name, .value, .inFlight: try takeHead(type, bytes)
        case .run:
            try begin(&sink)
            try flush(&sink)
            run = (try liveRun(bytes), number)
        case .task:
            guard run != nil else { throw ExchangeLine.Malformed(reason: "a task behind no run") }
            run!.contents.tasks.append(try task(bytes))
            guard run!.contents.tasks.count <= 64 else { throw ExchangeLine.Malformed(reason: "too many tasks") }
            tasks += 1
        case .kept:
            try flush(&sink)
            try line.allow([.task, .slot, .value])
            try sink.add(
                KeptContents(
                    task: TaskID(try line.number(.task)), slot: try line.byte(.slot),
                    value: try line.bytes(.value, in: bytes)))
        case .parent:
            try begin(&sink)
            try flush(&sink)
            try line.allow([.id, .firstFailure])
            try sink.add(
                ParentContents(
                    id: TaskID(try line.number(.id)), firstFailure: TaskID(try line.number(.firstFailure))))
        case .child:
            try begin(&sink)
            if run != nil { try flush(&sink) }
            try takeChild(bytes, number: number, &sink)
        case .end:
            try begin(&sink)
            try flush(&sink)
            try line.allow([.tasks, .children])
            guard try line.number(.tasks) == tasks, try line.number(.children) == children else {
                throw ExchangeLine.Malformed(reason: "not as many tasks or children as there were")
            }
            try sink.finish()
            hasEnded = true
        }
    }

    // MARK: The head

    private mutating func takeHead(_ type: ExchangeType, _ bytes: UnsafeRawBufferPointer) throws {
        guard !hasBegun else { throw ExchangeLine.Malformed(reason: "behind tasks or children") }
        switch type {
        case .store:
            try line.allow([.format, .identity, .nextID, .nextSequence])
            guard try line.number(.format) == ExchangeWriter.format else {
                throw ExchangeLine.Malformed(reason: "a format of another version")
            }
            guard let (high, low) = Hex.words(try line.text(.identity, in: bytes)) else {
                throw ExchangeLine.Malformed(reason: "identity is not 32 hexadecimal digits")
            }
            head = StoreHead(
                identity: StoreIdentity(high: high, low: low), nextID: try line.number(.nextID),
                nextSequence: try line.number(.nextSequence))
        case .name:
            try line.allow([.label, .name])
            guard try line.number(.label) == UInt64(head?.names.count ?? 0) + 1 else {
                throw ExchangeLine.Malformed(reason: "labels go from 1 without a gap")
            }
            head?.names.append(try line.text(.name, in: bytes))
        case .value:
            try line.allow([.name, .value])
            head?.values.append((try line.text(.name, in: bytes), try line.bytes(.value, in: bytes)))
        default:
            try line.allow([.id])
            head?.inFlight.append(TaskID(try line.number(.id)))
        }
    }

    private mutating func begin(_ sink: inout Sink) throws {
        guard !hasBegun, let head else { return }
        hasBegun = true
        try sink.begin(head)
    }

    // MARK: Tasks and children

    private func liveRun(_ bytes: UnsafeRawBufferPointer) throws -> LiveRunContents {
        try line.allow(.run)
        return LiveRunContents(
            firstID: TaskID(try line.number(.id)), parent: TaskID(try line.number(.parent)),
            submittedAt: Timestamp(milliseconds: try line.time(.submitted)), label: try line.word(.label),
            count: Int(try line.number(.count, upTo: 64)), priority: try line.byte(.priority),
            attributes: line.has(.attributes) ? try line.bytes(.attributes, in: bytes) : [])
    }

    private func task(_ bytes: UnsafeRawBufferPointer) throws -> LiveTaskContents {
        try line.allow(.task)
        var task = LiveTaskContents(
            id: TaskID(try line.number(.id)), payload: try line.bytes(.payload, in: bytes))
        if line.has(.key) {
            guard let key = TaskKey(bytes: try line.bytes(.key, in: bytes)) else {
                throw ExchangeLine.Malformed(reason: "key is none")
            }
            task.key = key
        }
        guard line.has(.phase) else {
            try line.allow([.id, .payload, .key])
            return task
        }
        var detail = LiveTasks.Detail()
        detail.phase = try line.byte(.phase)
        if line.has(.attempts) { detail.attempts = try line.word(.attempts) }
        if line.has(.notBefore) { detail.notBefore = Timestamp(milliseconds: try line.time(.notBefore)) }
        if line.has(.cancel) { detail.cancel = try line.choice(.cancel, in: bytes, of: OutcomeKind.named) }
        if line.has(.crashes) { detail.crashes = try line.byte(.crashes) }
        if line.has(.newPriority) { detail.priority = try line.byte(.newPriority) }
        task.detail = detail
        return task
    }

    private mutating func takeChild(_ bytes: UnsafeRawBufferPointer, number: Int, _ sink: inout Sink) throws {
        try line.allow(.child)
        let parent = TaskID(try line.number(.parent))
        let root = TaskID(parent == .none ? 0 : try line.number(.root))
        let isFull = rows.rows.count >= Self.rowsAtOnce || rows.valueBytes >= Self.bytesAtOnce
        if rows.parent != parent || rows.root != root || isFull {
            try flush(&sink)
            rows = OutcomeBlock(parent: parent, root: root)
        }
        var row = OutcomeRow(
            task: try line.number(.id), sequence: try line.number(.sequence), startedAt: try line.time(.started),
            endedAt: try line.time(.ended), label: try line.word(.label), attempts: try line.word(.attempts),
            valueLength: 0, kind: try line.choice(.kind, in: bytes, of: OutcomeKind.named))
        guard !line.has(row.kind == .completed ? .error : .memo) else {
            throw ExchangeLine.Malformed(reason: "a memo of a task that did not complete, or an error of one that did")
        }
        if let last = rows.rows.last, last.sequence >= row.sequence {
            throw ExchangeLine.Malformed(
                reason: "the child at position \(row.sequence) behind that at \(last.sequence)")
        }
        guard ids.insert(row.task...row.task) else {
            throw ExchangeLine.Malformed(reason: "task \(row.task) ends twice")
        }
        guard sequences.insert(row.sequence...row.sequence) else {
            throw ExchangeLine.Malformed(reason: "a second child at position \(row.sequence)")
        }
        if row.kind == .completed {
            let before = rows.memos.count
            try line.bytes(.memo, in: bytes, to: &rows.memos)
            row.valueLength = UInt32(clamping: rows.memos.count - before)
        } else {
            let before = rows.errors.count
            try line.bytes(.error, in: bytes, to: &rows.errors)
            row.valueLength = UInt32(clamping: rows.errors.count - before)
        }
        rows.rows.append(row)
        rowLines.append(number)
        children += 1
        guard line.has(.attachment) else { return }
        let attachment = try line.bytes(.attachment, in: bytes)
        attachment.withUnsafeBytes { rows.attachments.append($0, of: row.sequence) }
    }

    private mutating func flush(_ sink: inout Sink) throws {
        if let run {
            self.run = nil
            do { try sink.add(run.contents) } catch let error as StoreError where error.code == .rejected {
                throw ImportFailure(line: run.line, reason: error.message)
            }
        }
        guard !rows.rows.isEmpty else { return }
        defer {
            rows.removeAll()
            rowLines.removeAll(keepingCapacity: true)
        }
        do { try sink.add(rows) } catch let error as StoreError where error.code == .rejected {
            throw ImportFailure(line: try rejectedLine(&sink), reason: error.message)
        }
    }

    /// Which of the children it is that were rejected as a whole.
    private func rejectedLine(_ sink: inout Sink) throws -> Int {
        var (memoOffset, errorOffset) = (0, 0)
        for (index, row) in rows.rows.enumerated() {
            var one = OutcomeBlock(parent: rows.parent, root: rows.root)
            let length = Int(row.valueLength)
            if row.kind == .completed {
                rows.memos[memoOffset..<(memoOffset + length)].withUnsafeBytes { one.append(row, value: $0) }
                memoOffset += length
            } else {
                rows.errors[errorOffset..<(errorOffset + length)].withUnsafeBytes { one.append(row, value: $0) }
                errorOffset += length
            }
            do { try sink.add(one) } catch let error as StoreError where error.code == .rejected {
                return rowLines[index]
            }
        }
        return rowLines.last ?? 0
    }
}
