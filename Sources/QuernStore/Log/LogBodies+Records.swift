// SPDX-License-Identifier: Apache-2.0

/// What is read again of the log's records: payloads and what tasks keep in slots (S14).
extension LogBodies {
    /// Reads the payloads of a run for each set bit of `indexes`, in order; `body` gets the index in the run and the
    /// bytes.
    func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ use: (Int, RawSpan) -> Void
    ) throws(StoreError) {
        let frame = try body(at: .init(segment: run.segment, offset: run.frameOffset))
        let failure = frame.bytes.withUnsafeBytes { bytes -> DecodingFailure? in
            do throws(DecodingFailure) {
                let record = try SpawnRecord(of: run, in: bytes)
                var offset = 0
                for index in 0..<Int(run.count) {
                    let length = Int(record.lengths[index])
                    if indexes & (1 << UInt64(index)) != 0 {
                        use(
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

    /// What a task has in a slot, which is at `place`.
    func kept(by task: TaskID, _ slot: UInt8, at place: LogPlace) throws(StoreError) -> [UInt8] {
        let frame = try body(at: .init(segment: place.segment, offset: place.frameOffset))
        let result = frame.bytes.withUnsafeBytes { bytes -> Result<[UInt8], DecodingFailure> in
            do throws(DecodingFailure) {
                return .success(try LogRecord.kept(by: task, slot, in: bytes, at: Int(place.recordOffset)))
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let bytes): return bytes
        case .failure(let failure): throw damaged(failure, segment: place.segment, offset: place.frameOffset)
        }
    }

    private func damaged(_ failure: DecodingFailure, segment: UInt32, offset: UInt64) -> StoreError {
        StoreError(
            .damaged, failure.reason, file: files.path(.log, UInt64(segment)), offset: Int(clamping: offset))
    }
}

extension LogRecord {
    /// What the record at `offset` of a body says that a task has in a slot.
    static func kept(
        by task: TaskID, _ slot: UInt8, in body: UnsafeRawBufferPointer, at offset: Int
    ) throws(DecodingFailure) -> [UInt8] {
        let (kind, fields) = try record(in: body, at: offset)
        var reader = ByteReader(fields)
        let found = TaskID(try reader.littleEndian())
        let number = try reader.byte()
        switch kind {
        case .advance where slot == SlotTable.handover: break
        case .keep where number == slot: break
        case .relocatedKept where number == slot: _ = try LogPlace(&reader)
        default: throw DecodingFailure("a record of another kind")
        }
        guard found == task else { throw DecodingFailure("what another task keeps") }
        return [UInt8](try reader.take(reader.remaining))
    }
}
