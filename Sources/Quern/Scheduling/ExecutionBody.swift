// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What differs between handlers with and without `finalize` while `execute` runs.
protocol ExecutionBody: Sendable {
    associatedtype Work: DurableTask
    associatedtype Output

    /// Whether tasks wait for children after `execute`, instead of ending.
    static var advances: Bool { get }

    func execute(_ work: Work, in context: TaskContext) async throws -> Output

    /// Adds to the transaction what makes the output durable.
    func record(_ output: Output, of outcome: Transaction.Outcome, in transaction: inout Transaction) throws
}

/// A handler without `finalize`: `execute` ends the task.
struct LeafBody<Handler: TaskHandler>: ExecutionBody {
    typealias Work = Handler.Work
    static var advances: Bool { false }
    let handler: Handler

    func execute(_ work: Work, in context: TaskContext) async throws -> Work.Memo {
        try await handler.execute(work, in: context)
    }

    func record(_ memo: Work.Memo, of outcome: Transaction.Outcome, in transaction: inout Transaction) throws {
        try transaction.end(outcome, memo: memo)
    }
}

/// A handler with `finalize`: `execute` seals the hand-over.
struct OrchestratorBody<Handler: OrchestratorHandler>: ExecutionBody {
    typealias Work = Handler.Work
    static var advances: Bool { true }
    let handler: Handler

    func execute(_ work: Work, in context: TaskContext) async throws -> Handler.Handover {
        try await handler.execute(work, in: context)
    }

    func record(
        _ handover: Handler.Handover, of outcome: Transaction.Outcome, in transaction: inout Transaction
    ) throws {
        let sealed = try SealedHandover.encode(handover, startedAt: outcome.startedAt)
        transaction.advance(outcome.task, to: TaskPhase.children, value: sealed)
    }
}

/// The bytes between `execute` and `finalize`: when `execute` began, and what it handed over.
enum SealedHandover {
    static func encode(_ handover: some Encodable, startedAt: Timestamp) throws -> [UInt8] {
        var writer = ByteWriter()
        writer.append(littleEndian: startedAt.rawValue)
        do { try BinaryCodec.encode(handover, into: &writer) } catch {
            throw PermanentError(reason: "hand-over cannot be encoded", detail: String(describing: error))
        }
        guard writer.count <= Limits.valueBytes else {
            throw PermanentError(reason: "hand-over too large", detail: "\(writer.count - 8) bytes")
        }
        return writer.bytes
    }

    static func startedAt(_ bytes: [UInt8]) -> Timestamp? {
        guard bytes.count >= 8 else { return nil }
        return Timestamp(
            milliseconds: bytes.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) })
    }

    static func decode<Handover: Decodable>(_ type: Handover.Type, from bytes: [UInt8]) throws -> Handover {
        do { return try BinaryCodec.decode(type, from: bytes.span.extracting(min(8, bytes.count)...).bytes) } catch {
            throw PermanentError(reason: "hand-over cannot be decoded", detail: String(describing: error))
        }
    }
}

extension Transaction {
    /// Ends a task as completed. A memo that cannot be stored fails it for good (T13).
    mutating func end<Memo: TaskMemo>(_ outcome: Outcome, memo: Memo) throws {
        try end(outcome) { try Self.encode(memo, into: &$0) }
    }

    /// Ends a task as completed that may be run again for the sake of its children (T12a).
    mutating func end<Memo: TaskMemo>(_ outcome: Outcome, memo: Memo, leaving remains: [UInt8]) throws {
        try end(outcome, attachment: remains) { try Self.encode(memo, into: &$0) }
    }

    @inline(__always)
    private static func encode<Memo: TaskMemo>(_ memo: Memo, into writer: inout ByteWriter) throws {
        let start = writer.count
        do { try memo.encodeMemo(into: &writer) } catch {
            throw PermanentError(reason: "memo cannot be encoded", detail: String(describing: error))
        }
        guard writer.count - start <= Limits.valueBytes else {
            throw PermanentError(
                reason: "memo too large", detail: "\(writer.count - start) bytes; the limit is \(Limits.valueBytes)")
        }
    }

    /// Ends a task as `kind` says, with the reason why.
    ///
    /// - Parameter remains: what is kept for whoever runs the task again.
    mutating func end(
        _ outcome: Outcome, as kind: OutcomeKind, failure: FailureInfo, leaving remains: [UInt8]
    ) {
        var outcome = outcome
        outcome.kind = kind
        end(outcome, attachment: remains) { failure.encode(into: &$0) }
    }
}
