// SPDX-License-Identifier: Apache-2.0
import Synchronization

extension MemoStore {
    /// Everything without an outcome: what a scheduler starts from. O(live).
    public func liveTasks() -> LiveTasks {
        shared.committed.withLock { committed in
            var tasks = LiveTasks()
            let state = committed.state
            tasks.runs = state.live.runs.filter { $0.live != 0 }
            for (task, detail) in state.details { tasks.details[task] = detail }
            tasks.parents = state.parents.values.map(\.status).filter { $0.id != .none }.sorted { $0.id < $1.id }
            tasks.inFlight = state.inFlight.filter { state.live.contains($0) }
            return tasks
        }
    }

    /// Whether a task has no outcome yet. O(log live).
    public func isLive(_ task: TaskID) -> Bool {
        shared.committed.withLock { $0.state.live.contains(task) }
    }

    /// The run of a live task. O(log live).
    public func run(of task: TaskID) -> SpawnRun? {
        shared.committed.withLock { $0.state.live.run(of: task)?.run }
    }

    /// A live task as a parent, when it has or had children or was advanced; also of ``TaskID/none``. O(1).
    public func status(of parent: TaskID) -> ParentStatus? {
        shared.committed.withLock { $0.state.parents[parent]?.status }
    }

    /// Counts over the whole store. O(1).
    public var totals: (live: Int, endedRoots: UInt64) {
        shared.committed.withLock { ($0.state.live.count, $0.state.parents[.none]?.status.counts.total ?? 0) }
    }

    /// The live tasks below `tasks`, at any depth, that are parents themselves. One pass over the live runs, since ids
    /// follow commit order and a child comes after its parent.
    public func liveParents(below tasks: Set<TaskID>) -> Set<TaskID> {
        shared.committed.withLock { committed in
            let state = committed.state
            var above = tasks
            for entry in state.live.runs where entry.live != 0 && above.contains(entry.run.parent) {
                var bits = entry.live
                while bits != 0 {
                    let task = entry.run.id(at: bits.trailingZeroBitCount)
                    if state.parents[task] != nil { above.insert(task) }
                    bits &= bits - 1
                }
            }
            return above.subtracting(tasks)
        }
    }

    /// Reads the payloads of a run for each set bit of `indexes`, in order; `body` gets the index in the run and the
    /// bytes. May block on the log file; mostly served from memory.
    public func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void
    ) throws(StoreError) {
        let frame = try shared.bodies.body(at: .init(segment: run.segment, offset: run.frameOffset))
        let failure = frame.bytes.withUnsafeBytes { bytes -> DecodingFailure? in
            do throws(DecodingFailure) {
                let record = try SpawnRecord(
                    try Self.fields(of: .spawn, in: bytes, at: Int(run.recordOffset)))
                guard record.firstID == run.firstID.rawValue, record.count == run.count else {
                    throw DecodingFailure("another run's payloads")
                }
                var offset = 0
                for index in 0..<Int(run.count) {
                    let length = Int(record.lengths[index])
                    if indexes & (1 << UInt64(index)) != 0 {
                        body(
                            index,
                            RawSpan(
                                _unsafeBytes: UnsafeRawBufferPointer(
                                    rebasing: record.payloads[offset..<(offset + length)])))
                    }
                    offset += length
                }
                return nil
            } catch { return error }
        }
        if let failure { throw damaged(failure, segment: run.segment, offset: run.frameOffset) }
    }

    /// The bytes of a live task's last advance. May block on the log file.
    ///
    /// - Throws: ``StoreError/Code/rejected`` when the task is not live or was never advanced.
    public func handover(of task: TaskID) throws(StoreError) -> [UInt8] {
        guard let place = shared.committed.withLock({ $0.state.parents[task]?.handover }) else {
            throw StoreError(.rejected, "task \(task) has no hand-over")
        }
        let frame = try shared.bodies.body(at: .init(segment: place.segment, offset: place.frameOffset))
        let result = frame.bytes.withUnsafeBytes { bytes -> Result<[UInt8], DecodingFailure> in
            do throws(DecodingFailure) {
                var reader = ByteReader(try Self.fields(of: .advance, in: bytes, at: Int(place.recordOffset)))
                guard TaskID(try reader.littleEndian()) == task else {
                    throw DecodingFailure("another task's hand-over")
                }
                _ = try reader.byte()
                return .success([UInt8](try reader.take(reader.remaining)))
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let bytes): return bytes
        case .failure(let failure): throw damaged(failure, segment: place.segment, offset: place.frameOffset)
        }
    }

    private static func fields(
        of kind: LogRecord.Kind, in body: UnsafeRawBufferPointer, at offset: Int
    ) throws(DecodingFailure) -> UnsafeRawBufferPointer {
        guard offset < body.count else { throw DecodingFailure("a record behind its frame") }
        var reader = ByteReader(body, at: offset)
        guard try reader.byte() == kind.rawValue else { throw DecodingFailure("a record of another kind") }
        return try reader.take(Int(try reader.littleEndian(UInt32.self)))
    }

    private func damaged(_ failure: DecodingFailure, segment: UInt32, offset: UInt64) -> StoreError {
        StoreError(
            .damaged, failure.reason, file: shared.files.path(.log, UInt64(segment)), offset: Int(clamping: offset))
    }
}
