// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// What a store was told to hold.
struct CollectedContents: StoreSink {
    /// By parent, then by commit position.
    private(set) var children: [UInt64: [UInt64: StoreFacts.Child]] = [:]
    private(set) var live: Set<UInt64> = []
    private(set) var nextID: UInt64 = 0

    init(of contents: inout OfflineContents) throws { try contents.tell(&self) }

    mutating func begin(_ head: StoreHead) { nextID = head.nextID }
    mutating func add(_ run: LiveRunContents) { live.formUnion(run.tasks.map(\.id.rawValue)) }
    func add(_ kept: KeptContents) {}
    func add(_ parent: ParentContents) {}
    func finish() {}

    mutating func add(_ rows: OutcomeBlock) {
        var (memoOffset, errorOffset) = (0, 0)
        for row in rows.rows {
            let length = Int(row.valueLength)
            let isCompleted = row.kind == .completed
            let offset = isCompleted ? memoOffset : errorOffset
            let value = (isCompleted ? rows.memos : rows.errors)[offset..<(offset + length)]
            if isCompleted { memoOffset += length } else { errorOffset += length }
            children[rows.parent.rawValue, default: [:]][row.sequence] = StoreFacts.Child(
                id: row.task, sequence: row.sequence, kind: row.kind, label: row.label, attempts: row.attempts,
                startedAt: row.startedAt, endedAt: row.endedAt, value: Digest(Array(value)),
                attachment: Digest(Array(rows.attachments.bytes[rows.attachments.range(of: row.sequence)])))
        }
    }
}
