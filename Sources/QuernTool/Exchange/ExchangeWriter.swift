// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tells a store as JSON Lines, one thing a line, without loss: an import makes the same store of it.
///
/// Bytes are Base64, times milliseconds since 1970. Memory: a line, and what the output gathers for a write.
struct ExchangeWriter: StoreSink {
    static let format: UInt64 = 1

    var output: Output
    private var children: UInt64 = 0
    private var tasks: UInt64 = 0

    init(to output: Output) { self.output = output }

    private mutating func add(_ type: ExchangeType, _ fields: (inout JSONLine) -> Void) throws(OutputFailure) {
        try output.json {
            $0.field(.type, type.text)
            fields(&$0)
        }
    }

    mutating func begin(_ head: StoreHead) throws {
        try add(.store) {
            $0.field(.format, Self.format)
            $0.field(.identity, Hex.text(head.identity.high) + Hex.text(head.identity.low))
            $0.field(.nextID, head.nextID)
            $0.field(.nextSequence, head.nextSequence)
        }
        for (index, name) in head.names.enumerated() {
            try add(.name) {
                $0.field(.label, UInt64(index + 1))
                $0.field(.name, name)
            }
        }
        for (name, value) in head.values {
            try add(.value) {
                $0.field(.name, name)
                $0.field(.value, value)
            }
        }
        for task in head.inFlight { try add(.inFlight) { $0.field(.id, task) } }
    }

    mutating func add(_ run: LiveRunContents) throws {
        try add(.run) {
            $0.field(.id, run.firstID)
            $0.field(.parent, run.parent)
            $0.field(.count, UInt64(run.count))
            $0.field(.label, run.label)
            $0.field(.priority, run.priority)
            $0.field(.submitted, run.submittedAt)
            if !run.attributes.isEmpty { $0.field(.attributes, run.attributes) }
        }
        for task in run.tasks { try add(task) }
        tasks += UInt64(run.tasks.count)
    }

    private mutating func add(_ task: LiveTaskContents) throws {
        try add(.task) {
            $0.field(.id, task.id)
            $0.field(.payload, task.payload)
            if let key = task.key { $0.field(.key, key.bytes) }
            guard let detail = task.detail else { return }
            let none = LiveTasks.Detail()
            $0.field(.phase, detail.phase)
            if detail.attempts != none.attempts { $0.field(.attempts, detail.attempts) }
            if detail.notBefore != none.notBefore { $0.field(.notBefore, detail.notBefore) }
            if let kind = detail.cancel { $0.field(.cancel, kind.name) }
            if detail.crashes != none.crashes { $0.field(.crashes, detail.crashes) }
            if let priority = detail.priority { $0.field(.newPriority, priority) }
        }
    }

    mutating func add(_ kept: KeptContents) throws {
        try add(.kept) {
            $0.field(.task, kept.task)
            $0.field(.slot, kept.slot)
            $0.field(.value, kept.value)
        }
    }

    mutating func add(_ parent: ParentContents) throws {
        try add(.parent) {
            $0.field(.id, parent.id)
            $0.field(.firstFailure, parent.firstFailure)
        }
    }

    mutating func add(_ rows: OutcomeBlock) throws {
        var (memoOffset, errorOffset) = (0, 0)
        let isPlain = rows.attachments.isEmpty
        for row in rows.rows {
            let length = Int(row.valueLength)
            try add(.child) {
                $0.field(.parent, rows.parent)
                if rows.parent != .none { $0.field(.root, rows.root) }
                $0.field(.id, row.task)
                $0.field(.sequence, row.sequence)
                $0.field(.kind, row.kind.name)
                $0.field(.label, row.label)
                $0.field(.attempts, row.attempts)
                $0.field(.started, Timestamp(milliseconds: row.startedAt))
                $0.field(.ended, Timestamp(milliseconds: row.endedAt))
                if row.kind == .completed {
                    $0.field(.memo, rows.memos[memoOffset..<(memoOffset + length)])
                    memoOffset += length
                } else {
                    $0.field(.error, rows.errors[errorOffset..<(errorOffset + length)])
                    errorOffset += length
                }
                if isPlain { return }
                let range = rows.attachments.range(of: row.sequence)
                if !range.isEmpty { $0.field(.attachment, rows.attachments.bytes[range]) }
            }
        }
        children += UInt64(rows.rows.count)
    }

    mutating func finish() throws {
        let (tasks, children) = (tasks, children)
        try add(.end) {
            $0.field(.tasks, tasks)
            $0.field(.children, children)
        }
    }
}

extension JSONLine {
    fileprivate mutating func field(_ field: ExchangeField, _ number: UInt64) { self.field(field.text, number) }
    fileprivate mutating func field(_ field: ExchangeField, _ number: UInt32) { self.field(field.text, UInt64(number)) }
    fileprivate mutating func field(_ field: ExchangeField, _ number: UInt8) { self.field(field.text, UInt64(number)) }
    fileprivate mutating func field(_ field: ExchangeField, _ task: TaskID) { self.field(field.text, task.rawValue) }
    fileprivate mutating func field(_ field: ExchangeField, _ time: Timestamp) { self.field(field.text, time.rawValue) }
    fileprivate mutating func field(_ field: ExchangeField, _ text: String) { self.field(field.text, text) }

    fileprivate mutating func field(_ field: ExchangeField, _ plain: StaticString) {
        plain.withUTF8Buffer { text(field.text, UnsafeRawBufferPointer($0)) }
    }

    fileprivate mutating func field(_ field: ExchangeField, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { base64(field.text, $0) }
    }

    fileprivate mutating func field(_ field: ExchangeField, _ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { base64(field.text, $0) }
    }
}

enum Hex {
    static let digits = Array("0123456789abcdef".utf8)

    /// Sixteen digits.
    static func text(_ word: UInt64) -> String {
        String(decoding: (0..<16).map { digits[Int(word >> UInt64(60 - 4 * $0) & 15)] }, as: UTF8.self)
    }

    /// Sixteen digits each, or nil.
    static func words(_ text: String) -> (UInt64, UInt64)? {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ digits.contains($0) }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        return (high, low)
    }
}
