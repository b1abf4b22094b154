// SPDX-License-Identifier: Apache-2.0

/// One operation in a frame's body: kind (1 byte), length of what follows (4 bytes), fields.
enum LogRecord {
    enum Kind: UInt8 {
        case spawn = 1
        case outcomes = 2
        case advance = 3
        case attempt = 4
        case cancel = 5
        case crash = 6
        case define = 7
        case inFlight = 8
        /// The payloads of a run that is there already, once more, so that an old segment can go.
        case relocatedSpawn = 9
        /// What a live task has in a slot, once more.
        case relocatedKept = 10
        /// Tasks that become visible with their stage's commit.
        case stagedSpawn = 11
        case stageCommit = 12
        case stageAbort = 13
        case drop = 14
        case priority = 15
        /// A named value, or that there is none any more.
        case value = 16
        /// What a live task has in a slot from now on.
        case keep = 17
        case key = 18
    }

    static let prefixSize = 5

    /// Appends a record that `fields` writes. Returns where it begins.
    @discardableResult
    static func append(_ kind: UInt8, to body: inout ByteWriter, fields: (inout ByteWriter) -> Void) -> Int {
        let start = body.count
        body.append(kind)
        body.append(littleEndian: UInt32(0))
        fields(&body)
        body.replace(at: start + 1, littleEndian: UInt32(body.count - start - prefixSize))
        return start
    }

    static func append(_ label: Label, name: String, to body: inout ByteWriter) {
        append(Kind.define.rawValue, to: &body) {
            $0.append(littleEndian: label.rawValue)
            $0.append(contentsOf: name.utf8)
        }
    }

    /// The fields of what that appends. Whether the label is the next one the table knows.
    static func definition(_ reader: inout ByteReader) throws(DecodingFailure) -> (label: Label, name: String) {
        let label = Label(rawValue: try reader.littleEndian())
        let bytes = try reader.take(reader.remaining)
        guard (1...Limits.nameBytes).contains(bytes.count), let name = String(validating: bytes, as: UTF8.self)
        else { throw DecodingFailure("name of label \(label.rawValue)") }
        return (label, name)
    }

    private static func append(_ kind: Kind, _ task: TaskID, _ value: UInt8, to body: inout ByteWriter) {
        append(kind.rawValue, to: &body) {
            $0.append(littleEndian: task.rawValue)
            $0.append(value)
        }
    }

    static func append(_ key: TaskKey, of task: TaskID, to body: inout ByteWriter) {
        append(Kind.key.rawValue, to: &body) {
            $0.append(littleEndian: task.rawValue)
            key.append(to: &$0)
        }
    }

    static func append(
        stageCommit stage: UInt64, firstID: UInt64, absent: AbsentPositions, to body: inout ByteWriter
    ) {
        append(Kind.stageCommit.rawValue, to: &body) {
            $0.append(littleEndian: stage)
            $0.append(littleEndian: firstID)
            absent.append(to: &$0)
        }
    }

    static func append(stageAbort stage: UInt64, to body: inout ByteWriter) {
        append(Kind.stageAbort.rawValue, to: &body) { $0.append(littleEndian: stage) }
    }

    static func append(_ note: Transaction.Note, to body: inout ByteWriter) {
        switch note {
        case .advance(let task, let phase, let value):
            append(Kind.advance.rawValue, to: &body) {
                $0.append(littleEndian: task.rawValue)
                $0.append(phase)
                $0.append(contentsOf: value)
            }
        case .keep(let task, let slot, let value):
            append(Kind.keep.rawValue, to: &body) {
                $0.append(littleEndian: task.rawValue)
                $0.append(slot)
                $0.append(contentsOf: value)
            }
        case .set(let name, let value):
            append(Kind.value.rawValue, to: &body) { ValueRecord.append(name, value, to: &$0) }
        case .attempt(let task, let attempts, let notBefore, let error):
            append(Kind.attempt.rawValue, to: &body) {
                $0.append(littleEndian: task.rawValue)
                $0.append(littleEndian: attempts)
                $0.append(littleEndian: notBefore.rawValue)
                $0.append(contentsOf: error)
            }
        case .cancel(let task, let kind): append(.cancel, task, kind.rawValue, to: &body)
        case .priority(let task, let priority): append(.priority, task, priority, to: &body)
        case .crash(let task, let count): append(.crash, task, count, to: &body)
        case .define, .commitStage, .abortStage:
            preconditionFailure("a batch gives names their labels, and stages their ids, before it is encoded")
        case .inFlight(let tasks):
            append(Kind.inFlight.rawValue, to: &body) {
                for task in tasks { $0.append(littleEndian: task.rawValue) }
            }
        case .relocateSpawn(let run, let lengths, let payloads):
            append(Kind.relocatedSpawn.rawValue, to: &body) {
                SpawnRecord.appendHeader(
                    firstID: run.firstID.rawValue, parent: run.parent, submittedAt: run.submittedAt, label: run.label,
                    count: lengths.count, priority: run.priority, attributes: [], to: &$0)
                IntegerColumn.encode(count: lengths.count, into: &$0) { Int64(lengths[$0]) }
                $0.append(contentsOf: payloads)
            }
        case .relocateKept(let task, let slot, let old, let value):
            append(Kind.relocatedKept.rawValue, to: &body) {
                $0.append(littleEndian: task.rawValue)
                $0.append(slot)
                old.append(to: &$0)
                $0.append(contentsOf: value)
            }
        case .drop(let tree, _): append(Kind.drop.rawValue, to: &body) { tree.append(to: &$0) }
        }
    }

    /// A body without the outcomes at its end, where batches write them: payloads and what tasks keep are read again.
    static func withoutOutcomes(_ bytes: [UInt8]) -> [UInt8] {
        let end = bytes.withUnsafeBytes { bytes in
            var end = 0
            try? forEach(in: bytes) { kind, start, fields in
                if kind != Kind.outcomes.rawValue { end = start + prefixSize + fields.count }
            }
            return end
        }
        return end == bytes.count ? bytes : Array(bytes[..<end])
    }

    /// Calls `body` with each record: its kind, where it begins, and its fields.
    static func forEach(
        in bytes: UnsafeRawBufferPointer,
        _ body: (UInt8, Int, UnsafeRawBufferPointer) throws(DecodingFailure) -> Void
    ) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let start = reader.offset
            let kind = try reader.byte()
            let length = Int(try reader.littleEndian(UInt32.self))
            try body(kind, start, try reader.take(length))
        }
    }

    /// The record that begins at `offset`: its kind and its fields.
    static func record(
        in body: UnsafeRawBufferPointer, at offset: Int
    ) throws(DecodingFailure) -> (kind: Kind, fields: UnsafeRawBufferPointer) {
        guard offset < body.count else { throw DecodingFailure("a record behind its frame") }
        var reader = ByteReader(body, at: offset)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw DecodingFailure("a record of no known kind") }
        return (kind, try reader.take(Int(try reader.littleEndian(UInt32.self))))
    }
}
