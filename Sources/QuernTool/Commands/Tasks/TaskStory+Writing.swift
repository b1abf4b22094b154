// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

extension TaskStory {
    /// Of a payload people see so much.
    private static let shownBytes = 256

    func write(to output: inout Output, layout: MemoLayout?, isJSON: Bool) throws(OutputFailure) {
        if isJSON {
            try output.json { append(to: &$0, layout ?? .hex) }
        } else {
            try writeTable(to: &output, layout ?? .hex)
        }
    }

    // MARK: For people

    private func writeTable(to output: inout Output, _ layout: MemoLayout) throws(OutputFailure) {
        var table = Table(.left(), .left())
        table.add("task", .text("\(id)"))
        table.add("type", .text(type))
        table.add("state", Table.Cell(state.name, state.colour))
        let above = ancestors.map { "\($0.id)" + ($0.type.map { " (\($0))" } ?? "") }
        table.add("parent", .text(above.isEmpty ? "none: it is a root task" : above.joined(separator: ", below ")))
        for entry in times { table.add(.text(entry.label), .text(Numbers.time(entry.time))) }
        if let started = times.first(where: { $0.label == "started" }), let ended = times.last {
            let milliseconds = ended.time.rawValue &- started.time.rawValue
            table.add("took", .text(Numbers.duration(milliseconds: milliseconds)))
        }
        table.add("attempts", .number(attempts))
        if crashes > 0 { table.add("crashes", .number(crashes)) }
        if let sequence { table.add("sequence", .text("\(sequence)")) }
        if let priority { table.add("priority", .text("\(priority)")) }
        if let key { table.add("key", .text(Self.hex(key.bytes))) }
        addOptions(to: &table)
        if let payload {
            table.add("payload", .text("\(Numbers.grouped(payload.count)) bytes: " + Self.shown(payload)))
        }
        if let handoverBytes { table.add("handed over", .text("\(Numbers.grouped(handoverBytes)) bytes")) }
        if let liveChildren { table.add("live children", .number(liveChildren)) }
        if liveChildren != nil || counts.total > 0 { table.add("ended children", .text(counts.text)) }
        if firstFailure != .none { table.add("first failure", .text("task \(firstFailure)")) }
        switch value {
        case .memo(let bytes): table.add("memo", .printable(Self.text(bytes) { _ = layout.append($0, to: &$1) }))
        case .error(let bytes):
            table.add(
                .text(state.isEnded ? "error" : "last error"),
                .printable(Self.text(bytes) { ErrorBytes.append($0, to: &$1) }))
        case nil: break
        }
        try table.write(to: &output)
    }

    private func addOptions(to table: inout Table) {
        guard let options else { return }
        if let group = options.group { table.add("group", .text(group)) }
        if !options.tags.isEmpty { table.add("tags", .text(options.tags.joined(separator: ", "))) }
        if let time = options.scheduledFor { table.add("scheduled for", .text(Numbers.time(time))) }
        if let redrives = options.redrives { table.add("redrives", .text("task \(redrives)")) }
        if let maximum = options.maximumAttempts { table.add("may be tried", .text("\(maximum) times")) }
        if !options.dependencies.isEmpty {
            table.add("depends on", .text(options.dependencies.map { "\($0.task)" }.joined(separator: ", ")))
        }
    }

    private static func text(
        _ bytes: [UInt8], _ append: (UnsafeRawBufferPointer, inout TextBuffer) -> Void
    ) -> String {
        var buffer = TextBuffer()
        bytes.withUnsafeBytes { append($0, &buffer) }
        return buffer.text
    }

    private static func hex(_ bytes: [UInt8]) -> String { text(bytes) { $1.append(hex: $0) } }

    /// As text when it looks like one.
    private static func shown(_ bytes: [UInt8]) -> String {
        let rest = bytes.count > shownBytes ? "..." : ""
        let start = Array(bytes.prefix(shownBytes))
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: { $0.value == 0 })
        {
            return "\"" + String(decoding: start, as: UTF8.self) + "\"" + rest
        }
        return hex(start) + rest
    }

    // MARK: For programs

    private func append(to json: inout JSONLine, _ layout: MemoLayout) {
        json.field("id", id.rawValue)
        json.field("type", type)
        json.field("state", state.name)
        json.field("parent", parent.rawValue)
        json.array("ancestors") { json in for ancestor in ancestors { json.value(ancestor.id.rawValue) } }
        for entry in times { json.field(entry.name, entry.time.rawValue) }
        json.field("attempts", attempts)
        json.field("crashes", crashes)
        json.field("phase", phase)
        json.field("sequence", sequence)
        json.field("priority", priority)
        json.field("key", key.map { Self.hex($0.bytes) })
        json.field("group", options?.group)
        json.array("tags") { json in for tag in options?.tags ?? [] { json.value(tag) } }
        json.array("depends_on") { json in for task in options?.dependencies ?? [] { json.value(task.task.rawValue) } }
        if let redrives = options?.redrives { json.field("redrives", redrives.rawValue) }
        if let time = options?.scheduledFor { json.field("scheduled_for_ms", time.rawValue) }
        if let maximum = options?.maximumAttempts { json.field("maximum_attempts", maximum) }
        if let payload { payload.withUnsafeBytes { json.hex("payload", $0) } }
        json.array("slots") { json in for slot in slots { json.value(slot) } }
        json.field("live_children", liveChildren)
        json.object("ended_children") { counts.append(to: &$0) }
        if firstFailure != .none { json.field("first_failure", firstFailure.rawValue) }
        switch value {
        case .memo(let bytes):
            json.beginField("memo")
            bytes.withUnsafeBytes { _ = layout.append($0, to: &json) }
        case .error(let bytes): bytes.withUnsafeBytes { ErrorBytes.append($0, to: &json) }
        case nil: break
        }
    }
}
