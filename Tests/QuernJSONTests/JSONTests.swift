// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernJSON
import QuernTesting
import SystemPackage
import Testing

private struct Note: JSONTask {
    static let type: TaskType = "test.note"
    var text: String
    var path: String?

    struct Memo: JSONMemo, Equatable { var words: [String] }
}

private struct Splitter: TaskHandler {
    func execute(_ note: Note, in context: TaskContext) async throws -> Note.Memo {
        Note.Memo(words: note.text.split(separator: " ").map(String.init))
    }
}

@Suite("JSON: tasks and memos that people can read", .timeLimit(.minutes(20)))
struct JSONTests {
    @Test("A payload is JSON with sorted keys, and reads other programs' JSON")
    func payload() throws {
        var writer = ByteWriter()
        try Note(text: "a \"b\"", path: "/ü").encodePayload(into: &writer)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"path":"/ü","text":"a \"b\""}"#)
        let note = try Note.decodePayload(Array(#" {"new": [1], "text": "x"} "#.utf8).span.bytes)
        #expect(note.text == "x" && note.path == nil)
    }

    @Test("Bytes that are none are refused", arguments: ["", "{", "[]", #"{"text":3}"#, "\u{0}", #"{"path":"x"}"#])
    func hostile(text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: (any Error).self) { try Note.decodePayload(bytes.span.bytes) }
        #expect(throws: (any Error).self) { try Note.Memo.decodeMemo(bytes.span.bytes) }
    }

    @Test("A task goes through a store as JSON, and its memo comes back")
    func scheduler() async throws {
        var configuration = TaskScheduler.Configuration()
        configuration.fileSystem = SimulatedFileSystem()
        let scheduler = try await TaskScheduler(storeAt: "/store", configuration: configuration) {
            $0.register(Splitter())
        }
        async let service: Void = scheduler.run()
        #expect(try await scheduler.submit(Note(text: "to be")).memo() == Note.Memo(words: ["to", "be"]))
        scheduler.triggerGracefulShutdown()
        try await service
    }
}
