// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// What a store was told to hold.
struct CollectedContents: StoreSink {
    /// By parent, then by commit position.
    private(set) var children: [UInt64: [UInt64: StoreFacts.Child]] = [:]
    private(set) var live: [UInt64: Live] = [:]
    private(set) var values: [String: Digest] = [:]
    private(set) var nextID: UInt64 = 0

    struct Live: Equatable {
        var parent: UInt64
        var label: String
        var priority: UInt8
        var attributes: [UInt8]
        var payload: Digest
        var key: TaskKey?
        var detail: LiveTasks.Detail
        var kept: [UInt8: Digest] = [:]
    }

    private var names: [String] = []

    init(of contents: inout OfflineContents) throws { try contents.tell(&self) }

    mutating func begin(_ head: StoreHead) {
        nextID = head.nextID
        names = head.names
        for (name, value) in head.values { values[name] = Digest(value) }
    }

    mutating func add(_ run: LiveRunContents) {
        for task in run.tasks {
            live[task.id.rawValue] = Live(
                parent: run.parent.rawValue, label: names[Int(run.label) - 1], priority: run.priority,
                attributes: run.attributes, payload: Digest(task.payload), key: task.key,
                detail: task.detail ?? LiveTasks.Detail())
        }
    }

    mutating func add(_ kept: KeptContents) {
        live[kept.task.rawValue]?.kept[kept.slot] = Digest(kept.value)
    }

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
