// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

@testable import QuernStore

/// What a store holds, as the text that `Tests/Format/README.md` describes.
struct StoreDump {
    private(set) var text = ""

    init(_ store: MemoStore) throws(StoreError) {
        let state = store.shared.committed.withLock { $0.state }
        for (index, name) in state.labels.names.enumerated() { line("label", index + 1, Self.hex(name.utf8)) }
        for (name, value) in store.values(withPrefix: "") { line("value", Self.hex(name.utf8), Self.hex(value)) }
        try dumpLive(store, state)
        for task in store.liveTasks().inFlight { line("inflight", task) }
        dumpParents(state)
        for (slot, task, _) in state.slots.all.sorted(by: { ($0.task, $0.slot) < ($1.task, $1.slot) }) {
            line("slot", task, slot, Self.hex(try store.kept(task, slot: slot) ?? []))
        }
        for id in 0..<state.nextID { try dumpChildren(of: TaskID(id), in: store) }
    }

    private mutating func dumpLive(_ store: MemoStore, _ state: StoreState) throws(StoreError) {
        for entry in state.live.runs where entry.live != 0 {
            let run = entry.run
            var payloads: [Int: String] = [:]
            try store.withPayloads(of: run, indexes: entry.live) { index, payload in
                payloads[index] = payload.withUnsafeBytes { Self.hex($0) }
            }
            for (index, payload) in payloads.sorted(by: { $0.key < $1.key }) {
                line(
                    "live", run.id(at: index), run.parent, run.label.rawValue, run.priority,
                    run.submittedAt.rawValue, payload, Self.hex(state.attributes[run.firstID]),
                    Self.key(state.keys.key(of: run.id(at: index))))
            }
        }
        for (task, detail) in state.details.sorted(by: { $0.key < $1.key }) {
            line(
                "detail", task, detail.phase, detail.cancel?.rawValue ?? 0, detail.crashes, detail.attempts,
                detail.notBefore.rawValue, detail.priority.map(String.init) ?? "-")
        }
    }

    private mutating func dumpParents(_ state: StoreState) {
        for parent in state.parents.records {
            let status = parent.status
            let task = status.id
            let counts = OutcomeKind.allCases.map { String(status.counts[$0]) }.joined(separator: " ")
            line(
                "parent", task, status.phase, status.cancelRequested ? 1 : 0, status.liveChildren, counts,
                status.firstFailure)
        }
    }

    private mutating func dumpChildren(of parent: TaskID, in store: MemoStore) throws(StoreError) {
        var cursor = try store.children(of: parent).makeCursor(columns: .stored)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let value = block.withValue(at: index) { $0.withUnsafeBytes { Self.hex($0) } }
                let attachment = block.withAttachment(at: index) { $0.withUnsafeBytes { Self.hex($0) } }
                line(
                    "child", parent, block.sequence(at: index), block.id(at: index), block.kind(at: index).rawValue,
                    block.label(at: index).rawValue, block.attempts(at: index),
                    block.startedAt(at: index).rawValue, block.endedAt(at: index).rawValue, value, attachment)
            }
        }
    }

    private mutating func line(_ fields: any CustomStringConvertible...) {
        text += fields.map(\.description).joined(separator: " ") + "\n"
    }

    private static func key(_ key: TaskKey?) -> String {
        var bytes = ByteWriter()
        key?.append(to: &bytes)
        return hex(bytes.bytes)
    }

    private static let digits = Array("0123456789abcdef".utf8)

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text.isEmpty ? "-" : String(decoding: text, as: UTF8.self)
    }
}
