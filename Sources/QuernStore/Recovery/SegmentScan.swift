// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// Finds the end of what counts in one log segment, by checksums alone: it applies and changes nothing.
struct SegmentScan: Equatable {
    /// Behind the last frame that counts.
    var end: LogPosition
    /// Frames that count.
    var frames = 0
    /// Bytes behind the end that do not count, without the zeros at the end, which are written ahead.
    var tornBytes = 0

    struct Damage: Error, Equatable {
        var reason: String
        var offset: Int
    }

    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - start: where to begin; what is before it is known to be good.
    ///   - knownEnd: where the next segment says that this one ends; nil for the last segment.
    static func scan(
        _ bytes: UnsafeRawBufferPointer, from start: LogPosition, knownEnd: UInt64?, seed: UInt32
    ) throws(Damage) -> SegmentScan {
        let limit = knownEnd.map { Int(clamping: $0) } ?? bytes.count
        var result = SegmentScan(end: start)
        let used = usedLength(UnsafeRawBufferPointer(rebasing: bytes[..<min(limit, bytes.count)]))
        /// The end before the parts of a batch whose commit frame is still to come.
        var lastCommitted = result
        guard Int(clamping: start.offset) <= bytes.count, limit <= bytes.count else {
            throw Damage(reason: "the file is shorter than what was known to be on disk", offset: bytes.count)
        }
        while true {
            let offset = Int(result.end.offset)
            let (found, frame) = look(
                in: bytes, at: offset, limit: limit, used: used, after: result.end, seed: seed)
            let isVouchedFor =
                found != .frame && knownEnd == nil
                && vouches(in: bytes, used: used, beyond: offset, segment: start.segment, seed: seed)
            switch TailDecision.decide(isLast: knownEnd == nil, found: found, isVouchedFor: isVouchedFor) {
            case .apply:
                guard let frame else { preconditionFailure("a frame without header") }
                result.end.offset += UInt64(frame.totalLength)
                result.end.checksum = frame.checksum
                result.frames += 1
                if frame.kind == .commit { lastCommitted = result }
            case .nextSegment:
                guard lastCommitted == result else {
                    throw Damage(reason: "a transaction without its commit frame", offset: offset)
                }
                return result
            case .endOfLog:
                lastCommitted.tornBytes = max(0, min(used, bytes.count) - Int(lastCommitted.end.offset))
                return lastCommitted
            case .damaged(let reason):
                throw Damage(reason: reason, offset: offset)
            }
        }
    }

    /// The length without the zeros that were written ahead, but with the padding of the last frame: at most the length
    /// rounded up to a multiple of eight.
    static func usedLength(_ bytes: UnsafeRawBufferPointer) -> Int {
        (quern_length_without_zeros(bytes.baseAddress, bytes.count) + 7) & ~7
    }

    private static func look(
        in bytes: UnsafeRawBufferPointer, at offset: Int, limit: Int, used: Int, after previous: LogPosition,
        seed: UInt32
    ) -> (TailDecision.Found, FrameHeader?) {
        if offset >= limit { return (.end, nil) }
        guard let frame = FrameHeader(bytes, at: offset, segment: previous.segment, seed: seed),
            frame.kind == .commit || frame.kind == .part, frame.totalLength <= limit - offset,
            frame.body(in: bytes, seed: seed) != nil
        else { return (offset >= used ? .zeros : .otherBytes, nil) }
        return frame.previousChecksum == previous.checksum ? (.frame, frame) : (.frameOfAnotherChain, nil)
    }

    /// Whether any later frame says that the file was durable beyond `offset`.
    private static func vouches(
        in bytes: UnsafeRawBufferPointer, used: Int, beyond offset: Int, segment: UInt32, seed: UInt32
    ) -> Bool {
        let magic = FrameHeader.magic.littleEndian
        var place = (offset + 8) & ~7
        while place < used, place <= bytes.count - FrameHeader.size {
            if bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self) == magic,
                let frame = FrameHeader(bytes, at: place, segment: segment, seed: seed),
                frame.durableUpTo > UInt64(offset)
            {
                return true
            }
            place += 8
        }
        return false
    }
}
