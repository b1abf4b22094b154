// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore
@testable import QuernTool

/// A store on disk with a bit of everything, for commands to look at.
///
/// | task | |
/// |---|---|
/// | 1 | root of type scan: 150 children completed, 20 failed, 30 live; tag nightly, group disks |
/// | 2 ... 201 | its children, of type folder; 202 and 203 live below 201, with one ended sibling 204 |
/// | 205 | root of type note, completed |
/// | 206 | root of type note, failed, left its remains |
/// | 207 | root of type note, waits for a next attempt |
/// | 208 | root of type note, is to be cancelled |
/// | 209 | root of type note, in flight when the process died |
struct ToolStore {
    static let submitted = Timestamp(milliseconds: 1_000_000)
    static let ended = Timestamp(milliseconds: 1_002_000)
    static let nextAttempt = Timestamp(milliseconds: 4_000_000_000_000)

    let directory: TemporaryDirectory
    var path: FilePath { directory.path.appending("store") }

    /// A store that was closed in order.
    static func make(_ configuration: MemoStore.Configuration = MemoStore.Configuration()) throws -> ToolStore {
        let store = ToolStore(directory: try TemporaryDirectory())
        let open = try MemoStore.openBlocking(at: store.path, configuration: configuration)
        try fill(open)
        try open.closeBlocking()
        return store
    }

    /// So small that files come and go all the time, and that there are many blocks.
    static var small: MemoStore.Configuration {
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 32 << 10
        configuration.indexSegmentBytes = 24 << 10
        configuration.checkpointBytes = 8 << 10
        configuration.logReserveBytes = 4 << 10
        configuration.reserveBytes = 0
        configuration.blockSizes.full = 1 << 10
        configuration.blockSizes.rows = 20
        return configuration
    }

    static func fill(_ store: MemoStore) throws {
        let scan = try store.labelBlocking(for: "scan")
        let folder = try store.labelBlocking(for: "folder")
        let note = try store.labelBlocking(for: "note")
        var attributes = TaskAttributes()
        attributes.tags = ["nightly"]
        attributes.group = "disks"
        var first = Transaction()
        try spawn(&first, .none, scan, attributes: try attributes.encoded(), "/srv")
        try store.appendBlocking(first)
        var children = Transaction()
        for index in 0..<200 { try spawn(&children, TaskID(1), folder, "/srv/\(index)") }
        children.advance(TaskID(1), to: TaskPhase.children, value: Array("handed over".utf8))
        try store.appendBlocking(children)
        var outcomes = Transaction()
        for index in 0..<150 as Range<UInt64> {
            outcomes.end(outcome(index + 2, folder, .completed, under: 1)) { writer in
                for number in [index, 2] { writer.append(littleEndian: number) }
            }
        }
        for index in 150..<170 as Range<UInt64> {
            let reason = index < 165 ? "permission denied" : "gone"
            outcomes.end(outcome(index + 2, folder, index == 169 ? .deadLettered : .failed, under: 1)) {
                FailureInfo(reason: reason, detail: "/srv/\(index)").encode(into: &$0)
            }
        }
        try store.appendBlocking(outcomes)
        var deeper = Transaction()
        for index in 0..<3 { try spawn(&deeper, TaskID(201), folder, "/srv/199/\(index)") }
        try store.appendBlocking(deeper)
        var rest = Transaction()
        rest.end(outcome(204, folder, .cancelled, under: 201))
        for index in 0..<5 { try spawn(&rest, .none, note, priority: index == 3 ? 7 : 128, "note \(index)") }
        try store.appendBlocking(rest)
        var ends = Transaction()
        ends.end(outcome(205, note, .completed)) { $0.append(contentsOf: Array("done".utf8)) }
        var remains = TaskRemains(priority: 9)
        remains.attributes = try attributes.encoded()
        remains.payload = Array("note 1".utf8)
        ends.end(outcome(206, note, .failed), attachment: remains.encoded()) {
            FailureInfo(reason: "no paper", detail: "tray 2").encode(into: &$0)
        }
        var error = ByteWriter()
        FailureInfo(reason: "busy").encode(into: &error)
        ends.noteAttempt(TaskID(207), attempts: 2, notBefore: nextAttempt, error: error.bytes)
        ends.requestCancel(TaskID(208))
        ends.noteInFlight([TaskID(209)])
        try store.appendBlocking(ends)
    }

    private static func spawn(
        _ transaction: inout Transaction, _ parent: TaskID, _ label: Label, priority: UInt8 = 128,
        attributes: [UInt8] = [], _ payload: String
    ) throws {
        transaction.spawn(
            under: parent, label: label, priority: priority, attributes: attributes, at: submitted
        ) { $0.append(contentsOf: Array(payload.utf8)) }
    }

    private static func outcome(
        _ id: UInt64, _ label: Label, _ kind: OutcomeKind, under parent: UInt64 = 0
    ) -> Transaction.Outcome {
        Transaction.Outcome(
            task: TaskID(id), parent: TaskID(parent), label: label, kind: kind, attempts: 1, startedAt: submitted,
            endedAt: ended)
    }

    /// Runs `quern` with these arguments, and the store's directory behind the first.
    func run(_ command: String, _ arguments: String...) throws -> (
        status: ToolStatus, lines: [String], warnings: [String]
    ) {
        try Self.run([command, path.string] + arguments)
    }

    static func run(_ arguments: [String]) throws -> (status: ToolStatus, lines: [String], warnings: [String]) {
        var output = Output.captured()
        let command = try #require(try QuernTool.parseAsRoot(arguments) as? any ToolCommand)
        let status = command.perform(into: &output)
        return (status, output.text.split(separator: "\n").map(String.init), output.warnings)
    }
}
