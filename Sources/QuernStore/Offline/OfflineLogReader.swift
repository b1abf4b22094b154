// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Reads what live tasks have in the log: payloads and slots. It keeps the last frame, since neighbours share one.
package struct OfflineLogReader {
    private let raw: RawStore
    private var last: (segment: UInt32, offset: UInt64, body: [UInt8])?

    package init(_ store: OfflineStore) { raw = store.raw }

    /// Calls `body` with the index and the payload of each task of a run for which a bit is set, in order.
    ///
    /// - Throws: ``StoreError/Code/damaged`` with the frame's file and place.
    package mutating func withPayloads(
        of run: SpawnRun, indexes: UInt64, _ body: (Int, RawSpan) -> Void
    ) throws(StoreError) {
        try withBody(run.segment, run.frameOffset) { (bytes) throws(DecodingFailure) in
            try SpawnRecord(of: run, in: bytes).forEachPayload(of: indexes, body)
        }
    }

    /// What a live task has in a slot; nil when it has nothing there.
    ///
    /// - Throws: ``StoreError/Code/damaged`` with the frame's file and place.
    package mutating func kept(_ task: TaskID, slot: UInt8, in store: OfflineStore) throws(StoreError) -> [UInt8]? {
        guard let place = store.state.slots[task, slot] else { return nil }
        return try withBody(place.segment, place.frameOffset) { (bytes) throws(DecodingFailure) in
            Array(try LogRecord.kept(by: task, slot, at: place, in: bytes))
        }
    }

    private mutating func withBody<Value>(
        _ segment: UInt32, _ offset: UInt64, _ read: (UnsafeRawBufferPointer) throws(DecodingFailure) -> Value
    ) throws(StoreError) -> Value {
        let name = StoreFiles.name(.log, UInt64(segment))
        do throws(OfflineFailure) {
            if last?.segment != segment || last?.offset != offset {
                guard let file = raw.file(.log, UInt64(segment)) else { throw .decoding("the segment is missing") }
                last = (segment, offset, try file.frameBody(at: offset, seed: raw.identity.seed))
            }
            let body = last?.body ?? []
            do throws(DecodingFailure) {
                return try body.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in try read(bytes) }
            } catch { throw .decoding(error.reason) }
        } catch {
            throw StoreError(
                .damaged, error.reason, file: raw.directory.appending(name), offset: Int(clamping: offset))
        }
    }
}

extension RawFile {
    /// The decoded body of the frame at `offset`, after its checksums.
    func frameBody(at offset: UInt64, seed: UInt32) throws(OfflineFailure) -> [UInt8] {
        let start = Int(clamping: offset)
        guard start <= size - FrameHeader.size else { throw .decoding("no valid frame header") }
        let head = try bytes(start..<(start + FrameHeader.size))
        guard
            let header = head.withUnsafeBytes({
                FrameHeader(detached: $0, offset: offset, segment: segment(nil), seed: seed)
            }), header.totalLength <= size - start
        else { throw .decoding("no valid frame header") }
        let body = start + FrameHeader.size
        let frame = RawFrame(header: header, stored: try bytes(body..<(body + header.storedLength)), seed: seed)
        do throws(DecodingFailure) { return try frame.body() } catch { throw .decoding(error.reason) }
    }
}
