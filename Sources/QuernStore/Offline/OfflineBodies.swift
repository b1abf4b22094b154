// SPDX-License-Identifier: Apache-2.0

/// Bodies of log frames, read with `pread`, of which the last few stay in memory: tasks and blocks that follow each
/// other mostly share a frame.
struct OfflineBodies {
    private struct Key: Hashable {
        var segment: UInt32
        var offset: UInt64
    }

    private static let capacity = 8 << 20

    private let raw: RawStore
    /// What was used last is in the young ones, which become the old ones when they are many.
    private var young: [Key: [UInt8]] = [:]
    private var old: [Key: [UInt8]] = [:]
    private var youngBytes = 0

    init(_ raw: RawStore) { self.raw = raw }

    /// The decoded body of the frame at a place.
    mutating func body(segment: UInt32, offset: UInt64) throws(OfflineFailure) -> [UInt8] {
        let key = Key(segment: segment, offset: offset)
        if let body = young[key] { return body }
        let body: [UInt8]
        if let found = old[key] { body = found } else { body = try read(key) }
        young[key] = body
        youngBytes += body.count
        if youngBytes > Self.capacity / 2 {
            old = young
            young = [:]
            youngBytes = 0
        }
        return body
    }

    private func read(_ key: Key) throws(OfflineFailure) -> [UInt8] {
        guard let file = raw.file(.log, UInt64(key.segment)) else {
            throw .decoding("\(StoreFiles.name(.log, UInt64(key.segment))) is missing")
        }
        let start = Int(clamping: key.offset)
        guard start <= file.size - FrameHeader.size else { throw .decoding("behind the end of \(file.name)") }
        let head = try file.bytes(start..<(start + FrameHeader.size))
        guard
            let header = head.withUnsafeBytes({
                FrameHeader(detached: $0, offset: key.offset, segment: key.segment, seed: raw.identity.seed)
            })
        else { throw .decoding("no valid frame header at \(start) of \(file.name)") }
        let body = start + FrameHeader.size
        guard header.storedLength <= file.size - body else {
            throw .decoding("a frame at \(start) that passes the end of \(file.name)")
        }
        let frame = RawFrame(
            header: header, stored: try file.bytes(body..<(body + header.storedLength)), seed: raw.identity.seed)
        do throws(DecodingFailure) { return try frame.body() } catch {
            throw .decoding("\(error.reason) at \(start) of \(file.name)")
        }
    }

    // MARK: What is in them

    /// The payloads of a run for each set bit of `indexes`, in order.
    mutating func payloads(of run: SpawnRun, indexes: UInt64) throws(OfflineFailure) -> [[UInt8]] {
        let body = try body(segment: run.segment, offset: run.frameOffset)
        do throws(DecodingFailure) {
            return try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                let record = try SpawnRecord(of: run, in: bytes)
                var payloads: [[UInt8]] = []
                var offset = 0
                for index in 0..<Int(run.count) {
                    let length = Int(record.lengths[index])
                    if indexes & (1 << UInt64(index)) != 0 {
                        payloads.append([UInt8](record.payloads[offset..<(offset + length)]))
                    }
                    offset += length
                }
                return payloads
            }
        } catch { throw .decoding(error.reason) }
    }

    /// What a task has in a slot, which is at `place`.
    mutating func kept(by task: TaskID, _ slot: UInt8, at place: LogPlace) throws(OfflineFailure) -> [UInt8] {
        let body = try body(segment: place.segment, offset: place.frameOffset)
        do throws(DecodingFailure) {
            return try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                try LogRecord.kept(by: task, slot, in: bytes, at: Int(place.recordOffset))
            }
        } catch { throw .decoding(error.reason) }
    }
}
