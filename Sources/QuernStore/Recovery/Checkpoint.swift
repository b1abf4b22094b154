// SPDX-License-Identifier: Apache-2.0

/// What recovery starts from: the live state and the index as they were at a position of the log.
struct Checkpoint {
    var position: LogPosition
    var state: StoreState
    var sealed: [Sealed]
    var open: Open?
    var nextIndexNumber: UInt32
    /// What was wrong with the file when this is its mirror.
    var damage: StoreError?

    /// A sealed index segment, by the numbers that find its directory.
    struct Sealed: Equatable {
        var number: UInt32
        var directoryOffset: UInt64
        var entryCount: UInt32
        var tier: UInt8
    }

    /// The index segment that was being appended to, up to the length that counts.
    struct Open {
        var number: UInt32
        var length: UInt64
        var checksum: UInt32
        var entries: [DirectoryEntry]
    }
}

/// The record kinds of a checkpoint's frames. Labels and the in-flight note use the log's kinds.
enum CheckpointRecord: UInt8 {
    case base = 16
    case runs = 17
    case parent = 18
    case detail = 19
    case openBlock = 20
    case sealedSegment = 21
    case openSegment = 22
    case entries = 23
    case endedBlock = 24
    case stage = 25
    case dropped = 26
    case attributes = 27
    case value = 28
    case keys = 29
    case slots = 30
}

extension SpawnRun {
    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: firstID.rawValue)
        writer.append(littleEndian: parent.rawValue)
        writer.append(littleEndian: submittedAt.rawValue)
        writer.append(littleEndian: label.rawValue)
        writer.append(count)
        writer.append(priority)
        writer.append(littleEndian: segment)
        writer.append(littleEndian: frameOffset)
        writer.append(littleEndian: recordOffset)
        writer.append(littleEndian: payloadBytes)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        firstID = TaskID(try reader.littleEndian())
        parent = TaskID(try reader.littleEndian())
        submittedAt = Timestamp(milliseconds: try reader.littleEndian())
        label = Label(rawValue: try reader.littleEndian())
        count = try reader.byte()
        priority = try reader.byte()
        segment = try reader.littleEndian()
        frameOffset = try reader.littleEndian()
        recordOffset = try reader.littleEndian()
        payloadBytes = try reader.littleEndian()
        guard count > 0, Int(count) <= Self.capacity, firstID.rawValue <= Limits.number,
            frameOffset <= Limits.fileBytes
        else { throw DecodingFailure("run of tasks") }
    }
}

extension OutcomeKind {
    /// The kind that a task is cancelled with.
    init(cancel reader: inout ByteReader) throws(DecodingFailure) {
        guard let kind = OutcomeKind(rawValue: try reader.byte()), kind.isCancel else {
            throw DecodingFailure("kind of a cancel")
        }
        self = kind
    }
}

extension LiveTasks.Detail {
    func append(to writer: inout ByteWriter) {
        writer.append(phase)
        writer.append(cancel?.rawValue ?? 0)
        writer.append(crashes)
        writer.append(littleEndian: attempts)
        writer.append(littleEndian: notBefore.rawValue)
        writer.append(priority == nil ? 0 : 1)
        writer.append(priority ?? 0)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        self.init()
        phase = try reader.byte()
        var ahead = reader
        if try ahead.byte() == 0 { _ = try reader.byte() } else { cancel = try OutcomeKind(cancel: &reader) }
        crashes = try reader.byte()
        attempts = try reader.littleEndian()
        notBefore = Timestamp(milliseconds: try reader.littleEndian())
        let hasPriority = try reader.byte() == 1
        let byte = try reader.byte()
        priority = hasPriority ? byte : nil
    }
}

extension LiveTasks.Run {
    func append(to writer: inout ByteWriter) {
        run.append(to: &writer)
        writer.append(littleEndian: live)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        run = try SpawnRun(&reader)
        live = try reader.littleEndian()
        guard live & ~run.allBits == 0, live != 0, run.firstID > run.parent else { throw DecodingFailure("live run") }
    }
}

extension ParentTable.Record {
    func append(to writer: inout ByteWriter) {
        writer.append(littleEndian: status.id.rawValue)
        writer.append(littleEndian: root.rawValue)
        writer.append(status.phase)
        writer.append(status.cancelRequested ? 1 : 0)
        writer.append(littleEndian: status.liveChildren)
        for kind in OutcomeKind.allCases { writer.append(littleEndian: status.counts[kind]) }
        writer.append(littleEndian: status.firstFailure.rawValue)
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        status = ParentStatus(id: TaskID(try reader.littleEndian()))
        root = TaskID(try reader.littleEndian())
        status.phase = try reader.byte()
        status.cancelRequested = try reader.byte() == 1
        guard root <= status.id else { throw DecodingFailure("root of a tree") }
        status.liveChildren = try reader.littleEndian()
        for kind in OutcomeKind.allCases {
            status.counts[kind] = try reader.littleEndian()
            guard status.counts[kind] <= Limits.number else { throw DecodingFailure("count of outcomes") }
        }
        guard status.liveChildren <= Limits.number else { throw DecodingFailure("count of live children") }
        status.firstFailure = TaskID(try reader.littleEndian())
    }
}
