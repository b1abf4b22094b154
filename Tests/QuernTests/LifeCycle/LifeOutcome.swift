// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// The outcome of one task as the store tells it.
struct LifeOutcome: Sendable, Equatable {
    var id: TaskID
    var kind: OutcomeKind
    var label: Label
    var attempts: UInt32
    var endedAt: Timestamp
    var sequence: UInt64
    /// The memo, or the error.
    var value: [UInt8]
    /// What is left for a second run.
    var attachment: [UInt8]

    var failure: FailureInfo { FailureInfo(decoding: value) }
    var remains: TaskRemains? { TaskRemains(decoding: attachment) }

    /// Which script the task followed, as far as its outcome tells.
    func number(_ kind: Script.Kind) -> Int? {
        if self.kind != .completed { return remains.flatMap { lifeNumber($0.payload.span.bytes) } }
        if kind == .leaf { return lifeNumber(value.span.bytes) }
        return (try? BinaryCodec.decode(BranchMemo.self, from: value))?.number
    }
}

extension ChildSnapshot {
    func outcomes() throws(StoreError) -> [LifeOutcome] {
        var outcomes: [LifeOutcome] = []
        var cursor = makeCursor(columns: [.all, .attachments])
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                outcomes.append(
                    LifeOutcome(
                        id: block.id(at: index), kind: block.kind(at: index), label: block.label(at: index),
                        attempts: block.attempts(at: index), endedAt: block.endedAt(at: index),
                        sequence: block.sequence(at: index),
                        value: block.withValue(at: index) { $0.withUnsafeBytes { Array($0) } },
                        attachment: block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }))
            }
        }
        return outcomes
    }
}

extension OutcomeCounts {
    init(of outcomes: [LifeOutcome]) {
        self.init()
        for outcome in outcomes { self[outcome.kind] += 1 }
    }
}
