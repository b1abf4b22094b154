// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Tells a store as JSON Lines, one thing a line, without loss: an import makes the same store of it.
///
/// Bytes are Base64, times milliseconds since 1970. Memory: a line, and what is gathered for a write.
struct ExchangeWriter: StoreSink {
    private static let writeBytes = 256 << 10
    static let format: UInt64 = 1

    private var line = JSONText()
    private let write: ([UInt8]) throws -> Void
    private var children: UInt64 = 0
    private var tasks: UInt64 = 0

    /// - Parameter write: takes what was gathered.
    init(_ write: @escaping ([UInt8]) throws -> Void) { self.write = write }

    private mutating func add(_ type: ExchangeType, _ fields: (inout JSONText) -> Void) throws {
        line.begin()
        line.field(.type, type.text)
        fields(&line)
        line.end()
        if line.bytes.count >= Self.writeBytes { try flush() }
    }

    mutating func flush() throws {
        try write(line.bytes)
        line.removeAll()
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
        for task in head.inFlight { try add(.inFlight) { $0.field(.id, task.rawValue) } }
    }

    mutating func add(_ run: LiveRunContents) throws {
        try add(.run) {
            $0.field(.id, run.firstID.rawValue)
            $0.field(.parent, run.parent.rawValue)
            $0.field(.count, UInt64(run.count))
            $0.field(.label, UInt64(run.label))
            $0.field(.priority, UInt64(run.priority))
            $0.field(.submitted, run.submittedAt.rawValue)
            if !run.attributes.isEmpty { $0.field(.attributes, run.attributes) }
        }
        for task in run.tasks { try add(task) }
        tasks += UInt64(run.tasks.count)
    }

    private mutating func add(_ task: LiveTaskContents) throws {
        try add(.task) {
            $0.field(.id, task.id.rawValue)
            $0.field(.payload, task.payload)
            if let key = task.key { $0.field(.key, key.bytes) }
            guard let detail = task.detail else { return }
            let none = LiveTasks.Detail()
            $0.field(.phase, UInt64(detail.phase))
            if detail.attempts != none.attempts { $0.field(.attempts, UInt64(detail.attempts)) }
            if detail.notBefore != none.notBefore { $0.field(.notBefore, detail.notBefore.rawValue) }
            if let kind = detail.cancel { $0.field(.cancel, kind.exchangeName) }
            if detail.crashes != none.crashes { $0.field(.crashes, UInt64(detail.crashes)) }
            if let priority = detail.priority { $0.field(.newPriority, UInt64(priority)) }
        }
    }

    mutating func add(_ kept: KeptContents) throws {
        try add(.kept) {
            $0.field(.task, kept.task.rawValue)
            $0.field(.slot, UInt64(kept.slot))
            $0.field(.value, kept.value)
        }
    }

    mutating func add(_ parent: ParentContents) throws {
        try add(.parent) {
            $0.field(.id, parent.id.rawValue)
            $0.field(.firstFailure, parent.firstFailure.rawValue)
        }
    }

    mutating func add(_ rows: OutcomeBlock) throws {
        var (memoOffset, errorOffset) = (0, 0)
        let isPlain = rows.attachments.isEmpty
        for row in rows.rows {
            let length = Int(row.valueLength)
            try add(.child) {
                $0.field(.parent, rows.parent.rawValue)
                if rows.parent != .none { $0.field(.root, rows.root.rawValue) }
                $0.field(.id, row.task)
                $0.field(.sequence, row.sequence)
                $0.field(.kind, row.kind.exchangeName)
                $0.field(.label, UInt64(row.label))
                $0.field(.attempts, UInt64(row.attempts))
                $0.field(.started, row.startedAt)
                $0.field(.ended, row.endedAt)
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
        try flush()
    }
}

/// Lines of JSON objects with fields of one level.
struct JSONText {
    private(set) var bytes: [UInt8] = []
    private var isFirst = true

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func begin() {
        bytes.append(UInt8(ascii: "{"))
        isFirst = true
    }

    mutating func end() {
        bytes.append(UInt8(ascii: "}"))
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func name(_ field: ExchangeField) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        bytes.append(UInt8(ascii: "\""))
        field.text.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    mutating func field(_ field: ExchangeField, _ number: UInt64) {
        name(field)
        append(number)
    }

    mutating func field(_ field: ExchangeField, _ number: Int64) {
        name(field)
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        append(number.magnitude)
    }

    private mutating func append(_ number: UInt64) {
        var rest = number
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    mutating func field(_ field: ExchangeField, _ value: some Collection<UInt8>) {
        name(field)
        bytes.append(UInt8(ascii: "\""))
        Base64.encode(value, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A text without anything that JSON writes in another way.
    mutating func field(_ field: ExchangeField, _ plain: StaticString) {
        name(field)
        bytes.append(UInt8(ascii: "\""))
        plain.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func field(_ field: ExchangeField, _ text: String) {
        name(field)
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                bytes.append(contentsOf: Array("\\u00".utf8))
                bytes.append(Hex.digits[Int(byte >> 4)])
                bytes.append(Hex.digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
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
