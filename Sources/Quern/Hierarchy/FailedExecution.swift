// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How `execute` ended for good in a task that cannot have its outcome yet, because it has children: what takes the
/// place of the hand-over.
struct FailedExecution: Sendable, Equatable {
    var kind: OutcomeKind
    var attempts: UInt32
    var failure: FailureInfo

    init(kind: OutcomeKind, attempts: UInt32, failure: FailureInfo) {
        self.kind = kind
        self.attempts = attempts
        self.failure = failure
    }

    /// Begins as a ``SealedHandover`` does, so that the task's start is read off both alike.
    func encoded(startedAt: Timestamp) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(littleEndian: startedAt.rawValue)
        writer.append(kind.rawValue)
        writer.append(littleEndian: attempts)
        failure.encode(into: &writer)
        return writer.bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard bytes.count >= 13, let kind = OutcomeKind(rawValue: bytes[8]), kind.isFailure else { return nil }
        self.kind = kind
        attempts = bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 9, as: UInt32.self)) }
        failure = FailureInfo(decoding: bytes.span.extracting(13...).bytes)
    }
}
