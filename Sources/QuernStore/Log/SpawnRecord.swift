// SPDX-License-Identifier: Apache-2.0

/// A run of spawned tasks with their payloads, as a record.
///
/// Fields: parent, first id (8 bytes each), submission time (8), label (4), count (1), priority (1), duplicate
/// policy (1), length of the attributes (2), attributes, keys (16 each) when there is a policy, lengths column,
/// payloads side by side.
struct SpawnRecord {
    var firstID: UInt64
    var parent: UInt64
    var submittedAt: Int64
    var label: UInt32
    var count: UInt8
    var priority: UInt8
    /// Nil when its tasks have no keys.
    var policy: DuplicatePolicy?
    var attributes: UnsafeRawBufferPointer
    private var keyBytes: UnsafeRawBufferPointer
    var lengths: IntegerColumn.View
    var payloads: UnsafeRawBufferPointer

    static func appendHeader(
        firstID: UInt64, parent: TaskID, submittedAt: Timestamp, label: Label, count: Int, priority: UInt8,
        attributes: [UInt8] = [], policy: DuplicatePolicy? = nil, keys: ArraySlice<TaskKey> = [],
        to body: inout ByteWriter
    ) {
        body.append(littleEndian: parent.rawValue)
        body.append(littleEndian: firstID)
        body.append(littleEndian: submittedAt.rawValue)
        body.append(littleEndian: label.rawValue)
        body.append(UInt8(count))
        body.append(priority)
        body.append(policy?.rawValue ?? 0)
        body.append(littleEndian: UInt16(attributes.count))
        body.append(contentsOf: attributes)
        for key in keys { key.append(to: &body) }
    }

    /// - Parameter isStaged: whether the first id is a position in a stage, where parents are checked later.
    init(_ fields: UnsafeRawBufferPointer, isStaged: Bool = false) throws(DecodingFailure) {
        var reader = ByteReader(fields)
        parent = try reader.littleEndian()
        firstID = try reader.littleEndian()
        submittedAt = try reader.littleEndian()
        label = try reader.littleEndian()
        count = try reader.byte()
        priority = try reader.byte()
        guard count > 0, Int(count) <= SpawnRun.capacity else { throw DecodingFailure("run of \(count) tasks") }
        guard isStaged ? firstID < Limits.stagedTasks : firstID > 0 && firstID <= Limits.number && parent < firstID
        else {
            throw DecodingFailure("spawn of \(firstID) under \(parent)")
        }
        let policyByte = try reader.byte()
        policy = DuplicatePolicy(rawValue: policyByte)
        guard policy != nil || policyByte == 0 else { throw DecodingFailure("duplicate policy \(policyByte)") }
        let attributeBytes = Int(try reader.littleEndian(UInt16.self))
        guard attributeBytes <= Limits.attributeBytes else {
            throw DecodingFailure("\(attributeBytes) bytes of attributes")
        }
        attributes = try reader.take(attributeBytes)
        keyBytes = try reader.take(policy == nil ? 0 : Int(count) * TaskKey.size)
        lengths = try IntegerColumn.decode(count: Int(count), from: &reader)
        payloads = try reader.take(reader.remaining)
        guard try lengths.total(limit: Limits.frameBytes) == payloads.count else {
            throw DecodingFailure("payload lengths do not add up")
        }
    }

    /// The keys of its tasks: one each, or none.
    func keys() throws(DecodingFailure) -> [TaskKey] {
        var keys: [TaskKey] = []
        keys.reserveCapacity(keyBytes.count / TaskKey.size)
        var reader = ByteReader(keyBytes)
        while !reader.isAtEnd { keys.append(try TaskKey(&reader)) }
        return keys
    }

    /// The record that `run` points to. That of a task that was staged has its position in the place of its id.
    init(of run: SpawnRun, in body: UnsafeRawBufferPointer) throws(DecodingFailure) {
        let (kind, fields) = try LogRecord.record(in: body, at: Int(run.recordOffset))
        switch kind {
        case .spawn, .relocatedSpawn: try self.init(fields)
        case .stagedSpawn:
            var reader = ByteReader(fields)
            _ = try reader.littleEndian(UInt64.self)
            try self.init(try reader.take(reader.remaining), isStaged: true)
        default: throw DecodingFailure("a record of another kind")
        }
        guard kind == .stagedSpawn || firstID == run.firstID.rawValue, parent == run.parent.rawValue,
            count == run.count
        else { throw DecodingFailure("another run's payloads") }
    }

    /// The run whose payloads are in the record at `place`.
    func run(at place: LogPlace) -> SpawnRun {
        SpawnRun(
            firstID: TaskID(firstID), parent: TaskID(parent), submittedAt: Timestamp(milliseconds: submittedAt),
            label: Label(rawValue: label), count: count, priority: priority, segment: place.segment,
            frameOffset: place.frameOffset, recordOffset: place.recordOffset,
            payloadBytes: UInt32(clamping: payloads.count))
    }
}
